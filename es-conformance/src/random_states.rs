//! P: random histories of states, held against a model; also behind a store that compacts late.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use es_runtime::Timestamp;
use es_runtime::store::{Change, Demand, Purge, SaveError, StateChange, StateKey, StateStore};
use futures_util::{StreamExt, TryStreamExt};

use crate::check::{Among, Checked, holds, present, same};
use crate::random::Random;
use crate::scale::scaled;
use crate::states::{NAMESPACE, change, deletion, key, loaded};
use crate::subject::Subject;
use crate::wrap::Lagging;

/// Names of which one begins as another does, and that would run together without what separates them.
const NAMESPACES: [&str; 3] = ["states", "states ", "state"];
const KINDS: [&str; 4] = ["a", "a/b", "ab", "\u{fc}"];
const IDS: [&str; 8] = ["1", "10", "2", "b/1", " ", "A", "a", "\u{1F600}"];

/// The changes that must be kept.
#[derive(Default)]
struct Model(BTreeMap<StateKey, StateChange>);

impl Model {
    fn sequence(&self, key: &StateKey) -> u64 {
        self.0.get(key).map_or(0, |kept| kept.sequence)
    }

    /// Returns whether the change does not follow on the one kept.
    fn conflicts(&self, change: &StateChange) -> bool {
        self.sequence(&change.key) + 1 != change.sequence && self.0.get(&change.key) != Some(change)
    }

    /// Checks the answer to a save, and takes it in.
    fn take(&mut self, batch: Vec<StateChange>, demand: Demand, answer: Result<(), SaveError>) -> Checked {
        let misfits = batch
            .iter()
            .filter(|change| demand == Demand::Next && self.conflicts(change));
        let misfits: Vec<(&StateKey, u64, u64)> = misfits
            .map(|change| (&change.key, self.sequence(&change.key), change.sequence))
            .collect();
        let right = match &answer {
            Ok(()) => misfits.is_empty(),
            Err(SaveError::Conflict { key, kept, given }) => misfits.contains(&(key, *kept, *given)),
            Err(_) => false,
        };
        holds(
            right,
            format_args!("the answer to a save of {batch:?} under {demand:?}"),
            format_args!("success if nothing of it conflicts, else one of {misfits:?}"),
            &answer,
        )?;
        if answer.is_ok() {
            for change in batch {
                if self.sequence(&change.key) < change.sequence {
                    self.0.insert(change.key.clone(), change);
                }
            }
        }
        Ok(())
    }

    fn purge(&mut self, purge: &Purge) -> u64 {
        let before = self.0.len();
        self.0.retain(|key, kept| match purge {
            Purge::Entities(keys) => !keys.contains(key),
            Purge::Tombstones { namespace, .. } => *key.namespace != **namespace || kept.change != Change::Delete,
        });
        (before - self.0.len()) as u64
    }

    async fn check(&self, states: &dyn StateStore) -> Checked {
        for namespace in NAMESPACES {
            let expected = self.0.iter().filter(|(key, _)| *key.namespace == *namespace);
            let expected: BTreeMap<_, _> = expected.map(|(key, kept)| (key.clone(), kept.clone())).collect();
            let came = loaded(states, namespace).await?;
            same(format_args!("all entities of {namespace:?}"), came, expected)?;
        }
        Ok(())
    }
}

fn any_key(random: &mut Random) -> StateKey {
    let mut one_of = |names: &[&'static str]| names[usize::try_from(random.below(names.len() as u64)).unwrap_or(0)];
    StateKey::new(one_of(&NAMESPACES), one_of(&KINDS), one_of(&IDS))
}

/// Changes of several entities, most of which follow on what is kept.
fn any_batch(model: &Model, random: &mut Random) -> Vec<StateChange> {
    let mut batch: Vec<StateChange> = Vec::new();
    for _ in 0..=random.below(12) {
        let key = any_key(random);
        if batch.iter().any(|change| change.key == key) {
            continue;
        }
        let kept = model.sequence(&key);
        let sequence = match random.below(40) {
            0 => kept.max(1),
            1 => kept + 2 + random.below(5),
            2 => kept.saturating_sub(random.below(3)).max(1),
            _ => kept + 1,
        };
        let change = match (random.below(5), sequence) {
            (0, _) => Change::Delete,
            (_, 1) => Change::Create,
            _ => Change::Update,
        };
        let payload = (change != Change::Delete).then(|| Bytes::from(random.below(3).to_string()));
        let repeated = model.0.get(&key).filter(|_| random.below(30) == 0).cloned();
        let shape = random.below(2);
        batch.push(repeated.unwrap_or(StateChange {
            key,
            sequence,
            change,
            shape,
            payload,
        }));
    }
    batch
}

pub(crate) async fn p05_load_gives_the_latest_of_each(subject: &Subject<'_>) -> Checked {
    let plain = subject.states().await?;
    let lagging = Lagging::new(Arc::clone(&plain), subject.seed);
    let mut random = subject.random();
    let mut model = Model::default();
    for round in 0..scaled(150, 2_000) {
        match random.below(12) {
            0 => {
                let purge = match random.below(3) {
                    0 => Purge::tombstones(&*any_key(&mut random).namespace, Timestamp::MAX),
                    _ => Purge::entities((0..4).map(|_| any_key(&mut random)).collect::<Vec<_>>()),
                };
                let purged = lagging.purge(purge.clone()).await?;
                same(
                    format_args!("the entities purged by {purge:?}"),
                    purged,
                    model.purge(&purge),
                )?;
            }
            chance => {
                let demand = if chance < 9 { Demand::Next } else { Demand::Newer };
                let batch = any_batch(&model, &mut random);
                let answer = lagging.save(batch.clone(), demand).await;
                model.take(batch, demand, answer).among(format_args!("round {round}"))?;
            }
        }
        let asked = any_key(&mut random);
        let kept = lagging.get(&asked).await?;
        same(format_args!("`{asked}`"), kept.as_ref(), model.0.get(&asked)).among(format_args!("round {round}"))?;
        if round % 10 == 0 {
            model.check(&*plain).await.among(format_args!("round {round}"))?;
            let late = format!("round {round}, behind a store that compacts late");
            model.check(&lagging).await.among(late)?;
        }
    }
    let reopened = subject.states().await?;
    if subject.offers(crate::Capability::Durable) {
        model.check(&*reopened).await.among("opened again")?;
    }
    model.check(&*plain).await
}

pub(crate) async fn p06_load_is_bounded(subject: &Subject<'_>) -> Checked {
    let states = subject.states().await?;
    let entities = scaled(3_000, 1_000_000);
    let numbers: Vec<u64> = (0..entities).collect();
    for part in numbers.chunks(StateChange::MOST_CHANGES) {
        let batch = part.iter().map(|number| change(&format!("{number:08}"), 1, *number));
        states.save(batch.collect(), Demand::Next).await?;
    }
    // Long payloads: a page of them ends by its bytes.
    let long = Bytes::from(format!("\"{}\"", "x".repeat(1 << 20)));
    for number in 0..scaled(12, 200) {
        let long = StateChange {
            payload: Some(long.clone()),
            ..change(&format!("{:08}", number * 7), 2, 0)
        };
        states.save(vec![long], Demand::Next).await?;
    }
    for items in [1, 2, 300, 1_100] {
        // A load that is not read to its end delays nobody.
        let mut begun = states.load(NAMESPACE);
        for _ in 0..items {
            present("an entity of a load", begun.try_next().await?)?;
        }
        states.save(vec![change("other", items, items)], Demand::Newer).await?;
        drop(begun);
    }
    // Entities are changed, deleted and created around the one that is read at the moment.
    let mut seen = BTreeMap::new();
    let mut load = states.load(NAMESPACE);
    while let Some(change) = load.next().await {
        let change = change?;
        let seen_before = seen.insert(change.key.id, change.sequence);
        let number = seen.len() as u64;
        if seen_before.is_none() && number % 500 == 1 {
            let id = format!("{number:08}x");
            states
                .save(vec![deletion(&format!("{number:08}"), 9)], Demand::Newer)
                .await?;
            states.save(vec![created(&id)], Demand::Next).await?;
        }
    }
    drop(load);
    let missing = numbers
        .iter()
        .find(|number| !seen.contains_key(&format!("{number:08}")));
    holds(
        missing.is_none(),
        "a load during which others save",
        "every entity that was there before",
        missing,
    )?;
    let gone = states.get(&key("00000001")).await?;
    same(
        "an entity that was deleted during a load",
        gone,
        Some(deletion("00000001", 9)),
    )
}

fn created(id: &str) -> StateChange {
    change(id, 1, 0)
}
