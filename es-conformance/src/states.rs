//! P: the latest state of entities. What one caller sees; races are in `state_races`, random histories in `random_states`.

use std::collections::BTreeMap;

use bytes::Bytes;
use es_runtime::store::{Change, Demand, Purge, SaveError, StateChange, StateKey, StateStore};
use es_runtime::{Clock as _, Timestamp};
use futures_util::TryStreamExt;

use crate::cancellation::polled;
use crate::check::{Among, Checked, Stop, holds, present, same};
use crate::scale::scaled;
use crate::subject::Subject;

/// The namespace that the cases use.
pub(crate) const NAMESPACE: &str = "states";

pub(crate) fn key(id: &str) -> StateKey {
    StateKey::new(NAMESPACE, "account", id)
}

/// Change `sequence` of entity `id`, with a payload that tells `content`.
pub(crate) fn change(id: &str, sequence: u64, content: u64) -> StateChange {
    StateChange {
        key: key(id),
        sequence,
        change: if sequence == 1 { Change::Create } else { Change::Update },
        shape: 1,
        payload: Some(Bytes::from(format!(r#"{{ "content": {content} }}"#))),
    }
}

pub(crate) fn deletion(id: &str, sequence: u64) -> StateChange {
    StateChange {
        change: Change::Delete,
        payload: None,
        ..change(id, sequence, 0)
    }
}

/// The latest of each entity of a namespace, as a load tells it.
pub(crate) async fn loaded(states: &dyn StateStore, namespace: &str) -> Checked<BTreeMap<StateKey, StateChange>> {
    let mut latest: BTreeMap<StateKey, StateChange> = BTreeMap::new();
    let mut changes = states.load(namespace);
    while let Some(change) = changes.try_next().await? {
        holds(
            *change.key.namespace == *namespace,
            format_args!("what is loaded of namespace `{namespace}`"),
            "its own entities only",
            &change.key,
        )?;
        let known = latest.entry(change.key.clone()).or_insert_with(|| change.clone());
        if known.sequence < change.sequence {
            *known = change;
        }
    }
    Ok(latest)
}

/// The save must be refused because of `id`.
pub(crate) fn conflict(result: Result<(), SaveError>, id: &str, kept_at: u64, given_at: u64) -> Checked {
    let right = matches!(&result, Err(SaveError::Conflict { key: of, kept, given })
        if *of == key(id) && (*kept, *given) == (kept_at, given_at));
    holds(
        right,
        format_args!("a save of `{id}` at {given_at}"),
        format_args!("Conflict {{ key: {}, kept: {kept_at}, given: {given_at} }}", key(id)),
        result,
    )
}

pub(crate) async fn p01_save_is_atomic(subject: &Subject<'_>) -> Checked {
    let states = subject.states().await?;
    let fits = ["a", "c", "e"].map(|id| change(id, 1, 1));
    states.save(fits.to_vec(), Demand::Next).await?;
    let before = loaded(&*states, NAMESPACE).await?;
    for (misfit, kept, given) in [("a", 1, 3), ("c", 1, 1), ("d", 0, 2), ("e", 1, 5), ("z", 0, 9)] {
        for last in [true, false] {
            let others = ["a", "b", "c", "e", "f"].iter().filter(|id| **id != misfit);
            let mut batch: Vec<StateChange> = others
                .map(|id| change(id, if before.contains_key(&key(id)) { 2 } else { 1 }, 2))
                .collect();
            batch.insert(if last { batch.len() } else { 0 }, change(misfit, given, 2));
            conflict(states.save(batch, Demand::Next).await, misfit, kept, given)?;
            let after = loaded(&*states, NAMESPACE).await?;
            let what = format_args!("everything after a save in which `{misfit}` did not fit");
            same(what, after, before.clone())?;
        }
    }
    for round in 0..scaled(3, 30) {
        let mut polls = 0;
        while !dropped_save(&*states, polls)
            .await
            .among(format_args!("dropped after {polls} polls"))?
        {
            polls += 1;
            holds(polls < 10_000, "a save", "to be done within 10,000 polls", round)?;
        }
    }
    Ok(())
}

/// Drops a save after so many polls, which must be done whole or not at all. Tells whether it was done before it was dropped.
async fn dropped_save(states: &dyn StateStore, polls: usize) -> Checked<bool> {
    let ids = ["m", "n", "o"];
    let kept = states.get(&key("m")).await?.map_or(0, |kept| kept.sequence);
    let batch = |content| ids.map(|id| change(id, kept + 1, content)).to_vec();
    let result = polled(polls, states.save(batch(1), Demand::Next)).await;
    // Either of the two is done, and the other never will be.
    match states.save(batch(2), Demand::Next).await {
        Ok(()) | Err(SaveError::Conflict { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let first = states.get(&key("m")).await?;
    let done = holds(
        first == Some(change("m", kept + 1, 1)) || first == Some(change("m", kept + 1, 2)),
        "an entity after two saves of which one was dropped",
        "one of the two changes",
        &first,
    );
    done?;
    let payload = first.and_then(|first| first.payload);
    for id in ids {
        let of_other = present(id, states.get(&key(id)).await?)?;
        same(
            format_args!("`{id}`, of the save that was done"),
            (of_other.sequence, of_other.payload),
            (kept + 1, payload.clone()),
        )?;
    }
    match result {
        None => Ok(false),
        Some(result) => {
            result?;
            Ok(true)
        }
    }
}

pub(crate) async fn p02_next_demands_the_next_sequence(subject: &Subject<'_>) -> Checked {
    let states = subject.states().await?;
    conflict(states.save(vec![change("a", 5, 1)], Demand::Next).await, "a", 0, 5)?;
    same("an entity that was refused", states.get(&key("a")).await?, None)?;
    for sequence in 1..=3 {
        states.save(vec![change("a", sequence, 1)], Demand::Next).await?;
    }
    let latest = Some(change("a", 3, 1));
    for given in [1, 2, 5, 1 << 40, i64::MAX.unsigned_abs()] {
        conflict(
            states.save(vec![change("a", given, 2)], Demand::Next).await,
            "a",
            3,
            given,
        )?;
        same("the entity", states.get(&key("a")).await?, latest.clone())?;
    }
    // A change saved under the other demand counts all the same.
    states.save(vec![change("b", 7, 1)], Demand::Newer).await?;
    conflict(states.save(vec![change("b", 1, 1)], Demand::Next).await, "b", 7, 1)?;
    states.save(vec![change("b", 8, 1)], Demand::Next).await?;
    same("the entity", states.get(&key("b")).await?, Some(change("b", 8, 1)))
}

pub(crate) async fn p03_same_change_again_is_done(subject: &Subject<'_>) -> Checked {
    let states = subject.states().await?;
    let batch = vec![change("a", 1, 1), change("b", 1, 1)];
    for _ in 0..3 {
        states.save(batch.clone(), Demand::Next).await?;
    }
    // Done before, and done now, in one save.
    states
        .save(vec![change("a", 1, 1), change("b", 2, 2)], Demand::Next)
        .await?;
    let other_shape = StateChange {
        shape: 2,
        ..change("a", 1, 1)
    };
    let other_change = StateChange {
        change: Change::Update,
        ..change("a", 1, 1)
    };
    let mut other_bytes = change("a", 1, 1);
    other_bytes.payload = Some(Bytes::from_static(br#"{"content":1}"#));
    for other in [
        change("a", 1, 2),
        other_shape,
        other_change,
        other_bytes,
        deletion("a", 1),
    ] {
        let which = format!("{other:?}");
        conflict(states.save(vec![other], Demand::Next).await, "a", 1, 1).among(which)?;
    }
    for _ in 0..2 {
        states.save(vec![deletion("a", 2)], Demand::Next).await?;
    }
    conflict(states.save(vec![change("a", 2, 1)], Demand::Next).await, "a", 2, 2)?;
    let count = states.load(NAMESPACE).try_collect::<Vec<_>>().await?.len();
    let expected = [deletion("a", 2), change("b", 2, 2)];
    let expected: BTreeMap<_, _> = expected.map(|change| (change.key.clone(), change)).into();
    holds(
        count >= 2,
        "the number of changes that are loaded",
        "one of each entity",
        count,
    )?;
    same("all entities", loaded(&*states, NAMESPACE).await?, expected.clone())?;
    if subject.offers(crate::Capability::Durable) {
        let states = subject.states().await?;
        states
            .save(vec![deletion("a", 2), change("b", 2, 2)], Demand::Next)
            .await?;
        same(
            "all entities, opened again",
            loaded(&*states, NAMESPACE).await?,
            expected,
        )?;
    }
    Ok(())
}

pub(crate) async fn p04_newer_never_goes_back(subject: &Subject<'_>) -> Checked {
    let states = subject.states().await?;
    let mut random = subject.random();
    let ids = ["a", "b", "c"];
    let mut latest = BTreeMap::new();
    for round in 0..scaled(60, 1_000) {
        let mut batch = Vec::new();
        for id in ids {
            let sequence = 1 + random.below(50);
            // Of equal ones the first is kept.
            let change = match random.below(4) {
                0 => deletion(id, sequence),
                _ => change(id, sequence, round),
            };
            let known = latest.entry(change.key.clone()).or_insert_with(|| change.clone());
            if known.sequence < sequence {
                *known = change.clone();
            }
            batch.push(change);
        }
        states.save(batch, Demand::Newer).await?;
        same("all entities", loaded(&*states, NAMESPACE).await?, latest.clone())
            .among(format_args!("round {round}"))?;
    }
    Ok(())
}

pub(crate) async fn p07_deleted_stays_a_tombstone(subject: &Subject<'_>) -> Checked {
    let states = subject.states().await?;
    same("an entity that was never there", states.get(&key("a")).await?, None)?;
    states.save(vec![change("a", 1, 1)], Demand::Next).await?;
    states.save(vec![deletion("a", 2)], Demand::Next).await?;
    same("a deleted entity", states.get(&key("a")).await?, Some(deletion("a", 2)))?;
    same(
        "what is loaded of a deleted entity",
        loaded(&*states, NAMESPACE).await?.remove(&key("a")),
        Some(deletion("a", 2)),
    )?;
    conflict(states.save(vec![change("a", 1, 1)], Demand::Next).await, "a", 2, 1)?;
    states.save(vec![change("a", 1, 1)], Demand::Newer).await?;
    same(
        "the deleted entity after an older change",
        states.get(&key("a")).await?,
        Some(deletion("a", 2)),
    )?;
    let again = StateChange {
        change: Change::Create,
        ..change("a", 3, 2)
    };
    states.save(vec![again.clone()], Demand::Next).await?;
    same(
        "an entity that was created again",
        states.get(&key("a")).await?,
        Some(again),
    )?;
    // Deleted before it was ever seen.
    states.save(vec![deletion("b", 9)], Demand::Newer).await?;
    states.save(vec![change("b", 8, 1)], Demand::Newer).await?;
    same(
        "an entity whose deletion came first",
        states.get(&key("b")).await?,
        Some(deletion("b", 9)),
    )
}

pub(crate) async fn p08_purge_removes_only_what_is_named(subject: &Subject<'_>) -> Checked {
    let states = subject.states().await?;
    let elsewhere = |id: &str| {
        let mut change = deletion(id, 2);
        change.key.namespace = "states2".into();
        change
    };
    let living = ["a", "b", "c"].map(|id| change(id, 4, 1));
    let deleted = ["x", "y"].map(|id| deletion(id, 4));
    let all = living
        .iter()
        .chain(&deleted)
        .cloned()
        .chain([elsewhere("a"), elsewhere("x")]);
    states.save(all.collect(), Demand::Newer).await?;
    let ids = async |namespace: &str| -> Checked<Vec<String>> {
        Ok(loaded(&*states, namespace)
            .await?
            .into_keys()
            .map(|key| key.id)
            .collect())
    };

    let named = [
        key("a"),
        key("x"),
        key("unknown"),
        StateKey::new(NAMESPACE, "other", "b"),
    ];
    let before_all = Purge::tombstones(NAMESPACE, Timestamp::MIN);
    same(
        "the entities purged of those deleted before year 1",
        states.purge(before_all).await?,
        0,
    )?;
    same(
        "the entities purged by name",
        states.purge(Purge::entities(named)).await?,
        2,
    )?;
    same(
        "what is left",
        ids(NAMESPACE).await?,
        ["b", "c", "y"].map(str::to_owned).to_vec(),
    )?;
    same(
        "another namespace",
        ids("states2").await?,
        ["a", "x"].map(str::to_owned).to_vec(),
    )?;
    same("a purged entity", states.get(&key("a")).await?, None)?;
    for id in ["a", "x"] {
        conflict(states.save(vec![change(id, 5, 1)], Demand::Next).await, id, 0, 5)?;
        states.save(vec![change(id, 1, 9)], Demand::Next).await?;
    }
    states.save(vec![deletion("c", 5)], Demand::Next).await?;
    let tombstones = Purge::tombstones(NAMESPACE, Timestamp::MAX);
    same(
        "the tombstones that were purged",
        states.purge(tombstones.clone()).await?,
        2,
    )?;
    same(
        "what is left",
        ids(NAMESPACE).await?,
        ["a", "b", "x"].map(str::to_owned).to_vec(),
    )?;
    same(
        "another namespace",
        ids("states2").await?,
        ["a", "x"].map(str::to_owned).to_vec(),
    )?;
    same(
        "the tombstones that are left to purge",
        states.purge(tombstones).await?,
        0,
    )?;

    // By whatever clock the store has, what is deleted later is not purged sooner.
    let early = subject.clock.now();
    states.save(vec![deletion("b", 5)], Demand::Next).await?;
    subject.clock.advance(std::time::Duration::from_secs(7200));
    states.save(vec![deletion("a", 2)], Demand::Next).await?;
    let between = Timestamp::from_micros(early.as_micros() + 3_600_000_000).unwrap_or(Timestamp::MAX);
    states.purge(Purge::tombstones(NAMESPACE, between)).await?;
    let left = ids(NAMESPACE).await?;
    let has = |id: &str| left.iter().any(|left| left == id);
    holds(
        has("x") && (has("a") || !has("b")),
        "what is left of two entities that were deleted one after the other, and of a living one",
        "the living one, and the later tombstone if the earlier one is left",
        &left,
    )
}

impl From<SaveError> for Stop {
    #[track_caller]
    fn from(error: SaveError) -> Self {
        Self::broken("a save of states", "success", format_args!("{error} ({error:?})"))
    }
}
