//! From any store into any other: the same archive comes out again, byte for byte.

use std::sync::Arc;

use es_conformance::wrap::Lagging;
use es_runtime::archive::{self, ArchiveError, Contents};
use es_runtime::prelude::*;
use es_runtime::store::{Append, Change, Demand, Purge, ReadLog, StateChange, StateKey, StateStore, WriteCaps};
use es_runtime::{AppendId, MemoryStore};
use es_tests::bank::{Account, Deposit, Open};
use es_tests::{random, stores};
use futures_util::TryStreamExt as _;
use proptest::test_runner::TestRunner;

use crate::history::{OF_BYTES, OF_JSON, Step, Store, archive_of_filled, export, fill, filled, histories, import};

#[derive(Debug, Clone, Copy)]
enum Kind {
    Memory,
    Sqlite,
    Postgres,
}

struct Stores(tempfile::TempDir, u32);

impl Stores {
    fn new() -> Self {
        Self(es_tests::tempdir().unwrap(), 0)
    }

    async fn open(&mut self, kind: Kind) -> Store {
        self.1 += 1;
        match kind {
            Kind::Memory => Arc::new(MemoryStore::new()),
            Kind::Sqlite => {
                let path = self.0.path().join(format!("{}.db", self.1));
                Arc::new(es_tests::SqliteStore::open(path).await.unwrap())
            }
            Kind::Postgres => Arc::new(stores::postgres().await),
        }
    }
}

async fn everything_arrives(steps: &[Step], sources: &[Kind], targets: &[Kind]) {
    let mut stores = Stores::new();
    for source in sources {
        let one = stores.open(*source).await;
        fill(&one, steps).await;
        let exported = export(&one).await;
        for target in targets {
            let other = stores.open(*target).await;
            let imported = import(&exported, &other).await;
            assert_eq!(imported.stored, imported.appends + imported.states);
            assert_eq!(export(&other).await, exported, "from {source:?} into {target:?}");
            let difference = archive::compare(Arc::clone(&one), Arc::clone(&other)).await.unwrap();
            assert_eq!(difference, None, "from {source:?} into {target:?}");
            let [before, after] = [&one, &other].map(|store| store.read_log(ReadLog::new()).try_collect::<Vec<_>>());
            assert_eq!(before.await.unwrap(), after.await.unwrap(), "with positions and times");
            // Again, and nothing is stored.
            assert_eq!(import(&exported, &other).await.stored, 0);
        }
    }
}

#[test]
fn random_stores_arrive_whole_in_memory_and_in_files() {
    let both = [Kind::Memory, Kind::Sqlite];
    TestRunner::new(random::config(6, 300))
        .run(&histories(40, OF_BYTES), |steps| {
            random::run(everything_arrives(&steps, &both, &both));
            Ok(())
        })
        .unwrap();
}

#[test]
fn random_stores_arrive_whole_on_a_server_and_from_there() {
    TestRunner::new(random::config(2, 60))
        .run(&histories(60, OF_JSON), |steps| {
            random::run(everything_arrives(
                &steps,
                &[Kind::Postgres],
                &[Kind::Memory, Kind::Sqlite, Kind::Postgres],
            ));
            random::run(everything_arrives(&steps, &[Kind::Sqlite], &[Kind::Postgres]));
            Ok(())
        })
        .unwrap();
}

es_tests::on_every_store_and_postgres! {
    /// A payment that is sent again to the new store is not done again.
    async fn a_request_from_before_is_known_afterwards(store: _, _clock: _) {
        let source: Store = Arc::new(MemoryStore::new());
        let old = Runtime::builder(Arc::clone(&source)).start().await.unwrap();
        let alice = Id::<Account>::new();
        old.execute(alice, Open { owner: "Alice".into() }).await.unwrap();
        let first = old.execute(alice, Deposit { amount: 5 }).idempotency_key("r7").await.unwrap();
        let balance = old.load(alice).await.unwrap().unwrap();
        let target: Store = store;
        import(&export(&source).await, &target).await;

        let new = Runtime::builder(target).start().await.unwrap();
        let again = new.execute(alice, Deposit { amount: 5 }).idempotency_key("r7").await.unwrap();
        assert!(again.repeated);
        assert_eq!((again.version, again.position), (first.version, first.position));
        assert_eq!(new.load(alice).await.unwrap().unwrap(), balance);
        let next = new.execute(alice, Deposit { amount: 6 }).await.unwrap();
        assert_eq!(next.position, first.position.next());
    }

    /// Time travel by the times of recording means the same before and after.
    async fn the_times_of_recording_stay(store: _, clock: _) {
        let times = es_tests::stores::clock();
        let source: Store = Arc::new(MemoryStore::new().with_clock(times.clone()));
        let old = Runtime::builder(Arc::clone(&source)).start().await.unwrap();
        let alice = Id::<Account>::new();
        old.execute(alice, Open { owner: "Alice".into() }).await.unwrap();
        let opened = es_runtime::Clock::now(&times);
        times.advance(std::time::Duration::from_secs(60));
        old.execute(alice, Deposit { amount: 5 }).await.unwrap();
        clock.advance(std::time::Duration::from_secs(3_600));
        let target: Store = store;
        import(&export(&source).await, &target).await;
        let new = Runtime::builder(target).start().await.unwrap();
        let then = new.load(alice).as_of(opened).await.unwrap().unwrap();
        assert_eq!(then, old.load(alice).as_of(opened).await.unwrap().unwrap());
        assert_eq!(then.version, 1);
    }

    /// Caches of the framework are made again; caps are decisions, and stay.
    async fn of_what_the_framework_keeps_only_the_caps_are_taken_along(store: _, _clock: _) {
        let source: Store = Arc::new(MemoryStore::new());
        let states = Arc::clone(&source).state_store().unwrap();
        let caps = WriteCaps::new(Arc::clone(&states));
        caps.set(es_runtime::store::WriteCap::new("account", "opened", 1)).await.unwrap();
        let change = |namespace| StateChange {
            key: StateKey::new(namespace, "cache", "1"),
            sequence: 7,
            change: Change::Update,
            shape: 1,
            payload: Some("1".into()),
        };
        let caches = ["es", "es/process/transfer", "es/snapshot/0123456789abcdef"];
        let of_users = ["e", "essen", "mine"];
        states.save([&caches[..], &of_users].concat().into_iter().map(change).collect(), Demand::Newer).await.unwrap();
        let target: Store = store;
        // A runtime that was there before has caches of its own.
        let before = Arc::clone(&target).state_store().unwrap();
        before.save(caches.map(|cache| StateChange { sequence: 9, ..change(cache) }).to_vec(), Demand::Newer).await.unwrap();
        let imported = import(&export(&source).await, &target).await;
        assert_eq!(imported.states, 4);
        assert_eq!(archive::compare(source, Arc::clone(&target)).await.unwrap(), None);
        let arrived = Arc::clone(&target).state_store().unwrap();
        assert_eq!(WriteCaps::new(Arc::clone(&arrived)).all().await.unwrap(), caps.all().await.unwrap());
        for namespace in of_users {
            assert_eq!(arrived.get(&change(namespace).key).await.unwrap(), Some(change(namespace)));
        }
        for cache in caches {
            assert_eq!(arrived.get(&change(cache).key).await.unwrap().unwrap().sequence, 9, "{cache}");
        }
    }

    /// Nothing is stored in a store that holds anything else, and the first difference is named with its line.
    async fn a_store_that_holds_something_else_is_left_alone(store: _, clock: _) {
        let archive = archive_of_filled().await;
        let target: Store = store;
        clock.advance(std::time::Duration::from_secs(1));
        filled(&target).await;
        let before = export(&target).await;
        let error = archive::import(&archive[..], Arc::clone(&target)).await.unwrap_err();
        let ArchiveError::Differs { line: 2, difference } = &error else { panic!("{error}") };
        assert!(difference.starts_with("the time of append 00000000-0000-0001-"), "{error}");
        assert_eq!(export(&target).await, before);
    }
}

/// The states may lie in another store than the events, before and after.
#[tokio::test]
async fn states_are_taken_from_where_they_are_kept_and_to_where_they_will_be() {
    let [events, states, both, others] = [(); 4].map(|()| MemoryStore::new());
    let source: Store = Arc::new(events.clone());
    filled(&source).await;
    let unused = StateKey::new("a", "a", "a");
    StateStore::purge(&events, Purge::entities([unused.clone()]))
        .await
        .unwrap();
    let change = StateChange {
        key: unused,
        sequence: 3,
        change: Change::Create,
        shape: 1,
        payload: Some("7".into()),
    };
    states.save(vec![change.clone()], Demand::Newer).await.unwrap();
    let runtime = Runtime::builder(events.clone())
        .states(Arc::new(states.clone()))
        .start()
        .await
        .unwrap();

    let mut archive = Vec::new();
    let exported = archive::export(&runtime, &mut archive).await.unwrap();
    assert_eq!((exported.appends, exported.states), (5, 1));
    archive::import(&archive[..], both.clone()).await.unwrap();
    assert_eq!(both.get(&change.key).await.unwrap(), Some(change.clone()));
    let apart = Contents::from(MemoryStore::new()).with_states(Arc::new(others.clone()));
    archive::import(&archive[..], apart.clone()).await.unwrap();
    assert_eq!(others.get(&change.key).await.unwrap(), Some(change));
    assert_eq!(archive::compare(&runtime, apart).await.unwrap(), None);
}

#[tokio::test]
async fn states_that_come_out_of_order_are_no_archive() {
    let store = MemoryStore::new();
    filled(&(Arc::new(store.clone()) as Store)).await;
    let late = Lagging::new(store.clone(), 1);
    for sequence in 2..9 {
        let key = StateKey::new("a", "a", "a");
        let payload = Some("7".into());
        let change = StateChange {
            key,
            sequence,
            change: Change::Update,
            shape: 1,
            payload,
        };
        late.save(vec![change], Demand::Next).await.unwrap();
    }
    let contents = Contents::from(store).with_states(Arc::new(late));
    let error = archive::export(contents, &mut Vec::new()).await.unwrap_err();
    let ArchiveError::Read(error) = &error else {
        panic!("{error}")
    };
    assert!(
        error.to_string().contains("compacts late: it cannot be archived"),
        "{error}"
    );
}

#[tokio::test]
async fn every_difference_is_found_and_told() {
    let archive = archive_of_filled().await;
    let copy = async || {
        let store: Store = Arc::new(MemoryStore::new());
        import(&archive, &store).await;
        store
    };
    let told = async |one: &Store, other: &Store| {
        let difference = archive::compare(Arc::clone(one), Arc::clone(other)).await.unwrap();
        difference.map(|difference| difference.to_string()).unwrap_or_default()
    };
    let (one, more) = (copy().await, copy().await);
    assert_eq!(told(&one, &more).await, "");
    let append = Append {
        id: AppendId(uuid::Uuid::nil()),
        ..Append::new(
            es_runtime::StreamId::new("a", "a"),
            es_runtime::ExpectedVersion::Any,
            vec![
                one.read_log(ReadLog::new().limit(1))
                    .try_next()
                    .await
                    .unwrap()
                    .map(|event| es_runtime::NewEvent {
                        id: event.id,
                        name: event.name,
                        shape_version: event.shape_version,
                        payload: event.payload,
                        metadata: event.metadata,
                    })
                    .unwrap(),
            ],
        )
    };
    more.append(append).await.unwrap();
    assert_eq!(
        told(&one, &more).await,
        "the next record is the state of `a/a/a` in the first store and append 00000000-0000-0000-0000-000000000000 in the second"
    );
    let error = archive::import(&archive[..], Arc::clone(&more)).await.unwrap_err();
    assert!(matches!(error, ArchiveError::Differs { line: 7, .. }), "{error}");

    let changed = copy().await;
    let states = Arc::clone(&changed).state_store().unwrap();
    let key = StateKey::new("a", "a", "a");
    let kept = states.get(&key).await.unwrap().unwrap();
    let change = StateChange {
        sequence: 2,
        change: Change::Update,
        ..kept
    };
    states.save(vec![change], Demand::Next).await.unwrap();
    assert_eq!(
        told(&one, &changed).await,
        "the sequence of `a/a/a` is 1 in the first store and 2 in the second"
    );

    // Each value of a line is compared.
    let text = String::from_utf8(archive.clone()).unwrap();
    for (line, from, to, what) in [
        (2, "\"version\":0", "\"version\":1", "the version before of `a/a`"),
        (
            3,
            "\"fingerprint\":\"00000000-0000-0002",
            "\"fingerprint\":\"00000000-0000-0003",
            "the idempotency key of append",
        ),
        (3, "\"name\":\"a\"", "\"name\":\"b\"", "the name of event"),
        (3, "\"shape\":1", "\"shape\":2", "the version of the shape of event"),
        (3, "0.30000000000000004", "0.3", "the metadata of event"),
        (3, "1e400", "1e401", "the payload of event"),
        (4, "\"id\":\"a\"", "\"id\":\"b\"", "the next stream"),
        (6, "\"events\":[{", "\"events\":[],\"events\":[{", ""),
        (
            7,
            "\"change\":\"create\"",
            "\"change\":\"update\"",
            "the change of `a/a/a`",
        ),
        (
            7,
            "\"shape\":18446744073709551615",
            "\"shape\":1",
            "the shape of `a/a/a`",
        ),
        (8, "{\"json\":{}}", "{\"json\":[]}", "the payload of `a/a/a `"),
    ] {
        let forged = crate::damaged::forged(&text, line, from, to);
        let error = archive::import(forged.as_bytes(), copy().await).await.unwrap_err();
        let told = error.to_string();
        match what {
            "" => assert!(matches!(error, ArchiveError::Damaged { line: 6, .. }), "{told}"),
            what => assert!(told.contains(&format!("line {line} of the archive: {what}")), "{told}"),
        }
    }
}

#[tokio::test]
async fn an_archive_is_the_same_each_time_and_as_the_guide_shows_it() {
    let archive = archive_of_filled().await;
    assert_eq!(archive_of_filled().await, archive);
    let text = String::from_utf8(archive).unwrap();
    let first = text.lines().next().unwrap();
    assert!(first.ends_with(",\"archive\":{\"format\":1}}"), "{first}");
    let last = text.lines().last().unwrap();
    assert!(
        last.ends_with(",\"end\":{\"appends\":5,\"events\":6,\"states\":2}}"),
        "{last}"
    );
    assert!(
        text.lines()
            .all(|line| serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok())
    );
}
