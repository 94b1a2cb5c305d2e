use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, select};

use super::{Inputs, NotAdmitted};
use crate::MemoryStore;
use crate::store::{CursorStore as _, Lease, StateStore};

const READER: &str = "process/watch";
const TTL: Duration = Duration::from_secs(3_600);

fn set(inputs: &[&str]) -> BTreeSet<String> {
    inputs.iter().map(ToString::to_string).collect()
}

fn build(store: &MemoryStore, inputs: &[&str]) -> Inputs {
    let states = Arc::new(store.clone()) as Arc<dyn StateStore>;
    Inputs::new(&states, READER, set(inputs), BTreeSet::new(), "Handle")
}

async fn take(store: &MemoryStore, owner: &str) -> Lease {
    store.acquire(READER, owner, TTL).await.unwrap().expect("it is free")
}

fn is_outdated(checked: Result<(), NotAdmitted>) -> bool {
    matches!(checked, Err(NotAdmitted::Outdated(_)))
}

#[tokio::test(start_paused = true)]
async fn a_build_that_hears_more_waits_for_the_older_one() {
    let store = MemoryStore::new();
    let (old, new) = (build(&store, &["a"]), build(&store, &["a", "b"]));
    old.declare(&store, "new").await.unwrap();
    let lease = take(&store, "old").await;
    old.check().await.unwrap();
    let stands_aside = async {
        let outdated = old.outdated().await;
        assert_eq!(outdated.unheard, ["b"]);
        store.release(&lease).await.unwrap();
    };
    let (declared, ()) = join(new.declare(&store, "new"), stands_aside).await;
    declared.unwrap();
    assert!(is_outdated(old.check().await));
    new.check().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_build_that_does_not_stand_aside_is_named() {
    let store = MemoryStore::new();
    build(&store, &["a"]).declare(&store, "new").await.unwrap();
    let _lease = take(&store, "old").await;
    let error = build(&store, &["b"]).declare(&store, "new").await.unwrap_err();
    assert!(
        error.to_string().contains("an older build of `process/watch` runs"),
        "{error}"
    );
}

#[tokio::test]
async fn a_build_that_slept_too_long_does_not_get_its_lease_back() {
    let store = MemoryStore::new();
    let (old, new) = (build(&store, &["a"]), build(&store, &["a", "b"]));
    old.declare(&store, "old").await.unwrap();
    let has_run_out = store.acquire(READER, "old", Duration::ZERO).await.unwrap().unwrap();
    old.check().await.unwrap();
    new.declare(&store, "new").await.unwrap();
    assert!(
        !store.renew(&has_run_out, TTL).await.unwrap(),
        "it would pass over what comes now"
    );
}

#[tokio::test(start_paused = true)]
async fn one_of_its_kind_says_that_it_hears_as_much() {
    let store = MemoryStore::new();
    let (first, second) = (build(&store, &["a", "b"]), build(&store, &["a", "b"]));
    // As when the states were lost, and it went on.
    let _lease = take(&store, "first").await;
    let watching = select(Box::pin(first.outdated()), Box::pin(second.declare(&store, "new"))).await;
    let futures_util::future::Either::Right((declared, _)) = watching else {
        panic!("it hears all of it")
    };
    declared.unwrap();
}

#[tokio::test(start_paused = true)]
async fn of_two_builds_that_lack_something_none_works_until_one_is_accepted() {
    let store = MemoryStore::new();
    let (one, other) = (build(&store, &["a", "b"]), build(&store, &["a", "c"]));
    one.declare(&store, "new").await.unwrap();
    other.declare(&store, "new").await.unwrap();
    assert!(is_outdated(one.check().await) && is_outdated(other.check().await));
    other.accept_fewer().await.unwrap();
    other.check().await.unwrap();
    assert!(is_outdated(one.check().await));
}

#[tokio::test(start_paused = true)]
async fn a_build_that_is_accepted_while_an_older_one_runs_waits_for_it() {
    let store = MemoryStore::new();
    let (old, new) = (build(&store, &["a", "b"]), build(&store, &["b", "c"]));
    old.declare(&store, "old").await.unwrap();
    let lease = take(&store, "old").await;
    old.check().await.unwrap();
    new.accept_fewer().await.unwrap();
    let early = tokio::time::timeout(Duration::from_secs(1), new.declare(&store, "new")).await;
    assert!(early.is_err(), "the older one would pass over `c`");
    assert!(is_outdated(old.check().await));
    store.release(&lease).await.unwrap();
    new.declare(&store, "new").await.unwrap();
}

#[tokio::test]
async fn an_earlier_name_is_heard_too() {
    let store = MemoryStore::new();
    build(&store, &["a"]).declare(&store, "new").await.unwrap();
    let states = Arc::new(store.clone()) as Arc<dyn StateStore>;
    let renamed = Inputs::new(&states, READER, set(&["b"]), set(&["a"]), "Handle");
    renamed.declare(&store, "new").await.unwrap();
    renamed.check().await.unwrap();
}

/// The inputs of each build.
const BUILDS: [&[&str]; 4] = [&["a"], &["a", "b"], &["a", "b", "c"], &["a", "c"]];

/// Builds start, take the lease, sleep until it has run out, look, and pass over events in any order: none passes over an event that was appended after a build
/// that hears it had started.
#[tokio::test(start_paused = true)]
async fn no_event_is_passed_over_in_any_order() {
    for seed in 0..2_000_u64 {
        let mut series = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut pick = |below: usize| {
            series = series.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(series >> 33).unwrap() % below
        };
        let store = MemoryStore::new();
        let builds: Vec<Inputs> = BUILDS.iter().map(|inputs| build(&store, inputs)).collect();
        let (mut holder, mut started): (Option<(usize, Lease)>, BTreeSet<usize>) = (None, BTreeSet::new());
        for _ in 0..20 {
            let which = pick(BUILDS.len());
            match pick(6) {
                0 => {
                    // Not started yet, if it waits for an older one.
                    let declaring = builds[which].declare(&store, "new");
                    if tokio::time::timeout(Duration::from_secs(1), declaring).await.is_ok() {
                        started.insert(which);
                    }
                }
                1 => {
                    if let Some((_, lease)) = holder.take() {
                        store.release(&lease).await.unwrap();
                    }
                }
                2 => {
                    if started.contains(&which)
                        && let Some(lease) = store.acquire(READER, &which.to_string(), TTL).await.unwrap()
                    {
                        match builds[which].check().await {
                            Ok(()) => holder = Some((which, lease)),
                            Err(_) => store.release(&lease).await.unwrap(),
                        }
                    }
                }
                3 => {
                    if let Some((held, lease)) = holder.take() {
                        match builds[held].check().await {
                            Ok(()) => holder = Some((held, lease)),
                            Err(_) => store.release(&lease).await.unwrap(),
                        }
                    }
                }
                4 => {
                    if let Some((held, _)) = &holder {
                        let owner = held.to_string();
                        store.acquire(READER, &owner, Duration::ZERO).await.unwrap();
                    }
                }
                _ => {
                    // An event is appended, and whoever has the lease takes it, or still has it when it wakes.
                    let event = ["a", "b", "c"][pick(3)];
                    let is_of_a_build = started.iter().any(|build| BUILDS[*build].contains(&event));
                    if let Some((held, lease)) = holder.as_ref().filter(|_| is_of_a_build)
                        && store.renew(lease, TTL).await.unwrap()
                    {
                        assert!(BUILDS[*held].contains(&event), "{seed}: {held} passes over {event}");
                    }
                }
            }
        }
    }
}
