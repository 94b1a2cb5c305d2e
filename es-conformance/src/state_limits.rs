//! P: what no store keeps of states, and what every store keeps byte for byte.

use std::sync::Arc;

use bytes::Bytes;
use es_runtime::store::{Demand, Purge, SaveError, StateChange, StateKey, StateStore};
use es_runtime::{Runtime, StoreErrorKind};
use futures_util::TryStreamExt;

use crate::check::{Among, Checked, holds, present, same};
use crate::states::{NAMESPACE, change, deletion, loaded};
use crate::subject::Subject;

pub(crate) async fn p12_names_limits_bytes(subject: &Subject<'_>) -> Checked {
    let states = subject.states().await?;
    states.save(vec![change("a", 1, 1)], Demand::Next).await?;
    // As a runtime gives them to users, who do not see what it keeps itself.
    let runtime = Runtime::builder(subject.open().await.0).states(Arc::clone(&states));
    let runtime = runtime.start().await?;
    let given = present("the states of a runtime", runtime.states())?;
    bad_names_are_refused(&*given).await?;
    bad_changes_are_refused(&*states).await?;
    let kept: Vec<_> = loaded(&*states, NAMESPACE).await?.into_values().collect();
    same(
        "all entities after saves that were refused",
        kept,
        vec![change("a", 1, 1)],
    )?;
    states.save(Vec::new(), Demand::Next).await?;
    what_is_saved_comes_back(&*states).await?;
    states.save(many(StateChange::MOST_CHANGES), Demand::Next).await?;
    Ok(())
}

fn with(payload: &[u8]) -> StateChange {
    StateChange {
        payload: Some(Bytes::copy_from_slice(payload)),
        ..change("b", 1, 1)
    }
}

fn deep(levels: usize) -> StateChange {
    with(("[".repeat(levels) + &"]".repeat(levels)).as_bytes())
}

fn large(bytes: usize) -> StateChange {
    with(format!("\"{}\"", "x".repeat(bytes - 2)).as_bytes())
}

fn many(count: usize) -> Vec<StateChange> {
    (0..count).map(|number| change(&format!("m{number}"), 1, 1)).collect()
}

async fn bad_names_are_refused(states: &dyn StateStore) -> Checked {
    let long = "n".repeat(513);
    let names = ["", "a\0b", &long];
    let keys = names.iter().flat_map(|name| {
        [
            StateKey::new(*name, "account", "a"),
            StateKey::new(NAMESPACE, (*name).to_owned(), "a"),
            StateKey::new(NAMESPACE, "account", *name),
        ]
    });
    for bad in keys.chain([StateKey::new("es", "account", "a")]) {
        let change = StateChange {
            key: bad.clone(),
            ..change("a", 1, 1)
        };
        rejected(states.save(vec![change], Demand::Newer).await).among(&bad)?;
        let kinds = [
            states.get(&bad).await.err(),
            states.purge(Purge::entities([bad.clone()])).await.err(),
        ];
        for error in kinds {
            let kind = error.map(|error| error.kind());
            same(
                format_args!("a call that names `{bad}`"),
                kind,
                Some(StoreErrorKind::Rejected),
            )?;
        }
    }
    for namespace in ["", "a\0b", &long, "es"] {
        let loading = states.load(namespace).try_collect::<Vec<_>>().await;
        let kind = loading.map_err(|error| error.kind());
        same(
            format_args!("a load of {namespace:?}"),
            kind,
            Err(StoreErrorKind::Rejected),
        )?;
    }
    Ok(())
}

async fn bad_changes_are_refused(states: &dyn StateStore) -> Checked {
    let no_json: [&[u8]; 5] = [b"", b"{", b"\"\xff\"", b"1 2", b"\"a\nb\""];
    let unfit = no_json.map(with).into_iter().chain([
        change("b", 0, 1),
        change("b", i64::MAX.unsigned_abs() + 1, 1),
        StateChange {
            payload: None,
            ..change("b", 1, 1)
        },
        StateChange {
            payload: Some(Bytes::from_static(b"{}")),
            ..deletion("b", 1)
        },
    ]);
    for bad in unfit {
        let which = format!("{bad:?}");
        rejected(states.save(vec![change("a", 2, 1), bad], Demand::Newer).await).among(which)?;
    }
    rejected(
        states
            .save(vec![change("b", 1, 1), change("b", 2, 1)], Demand::Newer)
            .await,
    )?;
    let (most, most_bytes) = (StateChange::MOST_CHANGES, StateChange::MOST_BYTES);
    for (bad, unit) in [
        (vec![deep(128)], "levels"),
        (vec![large(most_bytes + 1)], "bytes"),
        (many(most + 1), "changes"),
    ] {
        let result = states.save(bad, Demand::Next).await;
        let right = matches!(&result, Err(SaveError::LimitExceeded(limit)) if limit.unit == unit);
        holds(
            right,
            format_args!("a save with too many {unit}"),
            "LimitExceeded",
            result,
        )?;
    }
    Ok(())
}

async fn what_is_saved_comes_back(states: &dyn StateStore) -> Checked {
    let longest = StateChange {
        key: StateKey::new("n".repeat(512), "k".repeat(512), "ü".repeat(256)),
        sequence: i64::MAX.unsigned_abs(),
        shape: u64::MAX,
        ..change("", 1, 1)
    };
    let quoted = StateChange {
        key: StateKey::new("it's \"%\" \\", "a/b\n", "\u{1F600}\u{202E} ’"),
        shape: 1 << 63,
        ..change("", 1, 1)
    };
    let exact = [
        " {\n\t\"b\" : 1.0, \"a\":1e5,\"b\":-0 } ".as_bytes(),
        "\"\\u0000 \\u00e9 é \u{1F600}\"".as_bytes(),
        b"18446744073709551616",
        b"null",
    ];
    let exact = exact
        .map(with)
        .into_iter()
        .chain([longest, quoted, deep(127), large(StateChange::MOST_BYTES)]);
    for (number, mut change) in exact.enumerate() {
        if *change.key.namespace == *NAMESPACE {
            change.key.id = format!("exact {number}");
        }
        states.save(vec![change.clone()], Demand::Newer).await?;
        let kept = states.get(&change.key).await?;
        let is_equal = kept.as_ref() == Some(&change);
        holds(
            is_equal,
            format_args!("`{}` as it comes back", change.key),
            "what was saved",
            kept,
        )?;
        let of_load = loaded(states, &change.key.namespace).await?.remove(&change.key);
        holds(
            of_load == Some(change),
            "an entity as it is loaded",
            "what was saved",
            number,
        )?;
    }
    Ok(())
}

#[track_caller]
fn rejected(result: Result<(), SaveError>) -> Checked {
    let right = matches!(&result, Err(SaveError::Rejected(error)) if error.kind() == StoreErrorKind::Rejected);
    holds(right, "a save of what no store keeps", "Rejected", result)
}
