//! B: what is told of the events without reading them.

use std::collections::BTreeMap;
use std::sync::Arc;

use es_runtime::store::{Append, EventKind, WriteCap, WriteCaps};
use es_runtime::{ExpectedVersion, NewEvent, StreamId};

use crate::check::{Among, Checked, holds, same};
use crate::sample::event;
use crate::subject::{Store, Subject, at_once};

/// A version of a shape that every store takes.
const HIGHEST: u32 = i32::MAX as u32;

/// An event of this name in this version of its shape.
fn of(name: &str, shape_version: u32) -> NewEvent {
    NewEvent {
        name: name.to_owned().into(),
        shape_version,
        ..event(0)
    }
}

/// What the log holds of each kind.
async fn counted(store: &Store) -> Checked<BTreeMap<EventKind, u64>> {
    let mut counts = BTreeMap::new();
    for event in store.log().await? {
        let kind = EventKind::new(event.stream.category(), event.name, event.shape_version);
        *counts.entry(kind).or_insert(0) += 1;
    }
    Ok(counts)
}

/// What the store tells must be what the log holds, in order.
async fn complete(store: &Store) -> Checked {
    let held: Vec<EventKind> = counted(store).await?.into_keys().collect();
    same("the kinds of events, in order", store.stored_events().await?, held)
}

pub(crate) async fn b14_stored_events_are_complete(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    same("the kinds of an empty store", store.stored_events().await?, vec![])?;
    let names = [
        "opened",
        "Opened",
        "open",
        "opened-1",
        "ge\u{f6}ffnet",
        "geo\u{308}ffnet",
        "10",
        "9",
    ];
    for (number, name) in names.into_iter().enumerate() {
        for category in ["account", "Account", "acc"] {
            let target = StreamId::new(category, number.to_string());
            let events = vec![of(name, 1), of(name, 10), of(name, 9), of(name, 1)];
            store.put(&target, ExpectedVersion::Any, events).await?;
            complete(&store)
                .await
                .among(format_args!("after `{name}` of `{category}`"))?;
        }
    }
    let target = StreamId::new("account", "0");
    store
        .put(&target, ExpectedVersion::Any, vec![of("highest", HIGHEST)])
        .await?;
    complete(&store).await.among("the highest version of a shape")?;

    let refused = store
        .put(&target, ExpectedVersion::NoStream, vec![of("never stored", 1)])
        .await;
    holds(
        refused.is_err(),
        "an append to a stream that exists",
        "a conflict",
        refused,
    )?;
    complete(&store).await.among("after a conflict")?;
    store
        .put(&target, ExpectedVersion::Any, vec![of("never stored", 1)])
        .await?;
    complete(&store).await.among("the same kind, stored after all")?;

    let other = subject.open().await;
    complete(&other).await.among("another handle")?;
    let writers = (0..8_u64).map(|writer| {
        let store = if writer % 2 == 0 { store.clone() } else { other.clone() };
        async move {
            for version in 1..20 {
                let target = StreamId::new("account", format!("writer {writer}"));
                let append = store.put(&target, ExpectedVersion::Any, vec![of("raced", version)]);
                append.await?;
                let told = store.stored_events().await?;
                let own = EventKind::new("account", "raced", version);
                holds(told.contains(&own), "the kinds right after an append", &own, &told)?;
            }
            Checked::Ok(())
        }
    });
    for result in at_once(writers).await {
        result?;
    }
    complete(&store).await.among("after writers at once")
}

pub(crate) async fn b15_events_of_one_kind_are_counted(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    for (category, name, version, count) in [
        ("account", "opened", 1, 3),
        ("account", "opened", 2, 5),
        ("account", "closed", 1, 2),
        ("transfer", "opened", 1, 4),
        ("transfer", "opened", HIGHEST, 1),
    ] {
        for stream in ["a", "b"] {
            let append = Append::new(
                StreamId::new(category, stream),
                ExpectedVersion::Any,
                (0..count).map(|_| of(name, version)).collect(),
            );
            store.append(append).await?;
        }
    }
    for (kind, count) in counted(&store).await? {
        let told = store.count_events(&kind).await?;
        same(format_args!("the events {kind}"), told, count)?;
    }
    for (category, name, version) in [
        ("account", "opened", 3),
        ("account", "Opened", 1),
        ("accounts", "opened", 1),
        ("transfer", "closed", 1),
        ("a\0b", "opened", 1),
        ("account", "a\0b", 1),
        ("", "", 0),
    ] {
        let kind = EventKind::new(category, name, version);
        let told = store.count_events(&kind).await?;
        same(format_args!("the events {kind}"), told, 0)?;
    }
    Ok(())
}

pub(crate) async fn b16_write_caps_are_kept(subject: &Subject<'_>) -> Checked {
    let (caps, other) = (subject.write_caps().await?, subject.write_caps().await?);
    same("the caps of an empty store", caps.all().await?, vec![])?;
    caps.lift("account", "opened").await?;
    let cap = WriteCap::new;
    for set in [
        cap("transfer", "opened", 7),
        cap("account", "opened", 1),
        cap("account", "Opened", HIGHEST),
        cap("account", "opened", 2),
    ] {
        caps.set(set).await?;
    }
    let mut expected = vec![
        cap("account", "Opened", HIGHEST),
        cap("account", "opened", 2),
        cap("transfer", "opened", 7),
    ];
    for handle in [&caps, &other, &subject.write_caps().await?] {
        same("the caps", handle.all().await?, expected.clone())?;
    }
    other.lift("account", "opened").await?;
    other.lift("account", "opened").await?;
    expected.remove(1);
    for handle in [&caps, &other] {
        same("the caps after one was lifted", handle.all().await?, expected.clone())?;
    }
    // Several processes set one cap at once: each is heard, and one of them is the last.
    let states = subject.states().await?;
    let setting = (1..=8).map(|highest| {
        let caps = WriteCaps::new(Arc::clone(&states));
        async move { caps.set(WriteCap::new("account", "opened", highest)).await }
    });
    for set in at_once(setting).await {
        set?;
    }
    let kept = caps.all().await?;
    holds(
        kept.len() == 3 && kept[1].name == "opened" && (1..=8).contains(&kept[1].highest),
        "the caps after eight set one of them at once",
        "the last of them",
        kept,
    )
}
