//! Random changes of two managers, restores and purges: repositories hold what a map does, and errors are those of the map.

use std::collections::BTreeMap;
use std::sync::Arc;

use es_conformance::wrap::Lagging;
use es_runtime::MemoryStore;
use es_runtime::state::{Changes, PersistError};
use es_runtime::store::{Change, Purge, StateStore};
use es_tests::random::{config, run};
use es_tests::{SqliteStore, stores};
use proptest::collection::vec;
use proptest::prelude::*;

use super::domain::{Deployment, DeploymentId, Environment, NAMESPACE, Workspace, deployment, environment};

/// A change of the entity with this number: the even ones are deployments, the odd ones environments.
#[derive(Debug, Clone, Copy)]
enum Op {
    Create(u64, u8),
    Update(u64, u8),
    Delete(u64),
}

#[derive(Debug, Clone)]
enum Step {
    Persist(usize, Vec<Op>),
    Restore(usize),
    Purge,
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    let entity = 0..6_u64;
    // Few values, so that two managers sometimes mean the same.
    let op = prop_oneof![
        (entity.clone(), 0..2_u8).prop_map(|(entity, value)| Op::Create(entity, value)),
        (entity.clone(), 0..2_u8).prop_map(|(entity, value)| Op::Update(entity, value)),
        entity.prop_map(Op::Delete),
    ];
    let step = prop_oneof![
        12 => (0..2_usize, vec(op, 0..5)).prop_map(|(manager, ops)| Step::Persist(manager, ops)),
        3 => (0..2_usize).prop_map(Step::Restore),
        1 => Just(Step::Purge),
    ];
    vec(step, 1..60)
}

/// The latest change of an entity: its sequence, its kind and the value.
type Kept = (u64, Change, Option<u8>);
type Map = BTreeMap<u64, Kept>;

/// Why changes are not persisted.
#[derive(Debug, PartialEq)]
enum Why {
    Exists,
    Missing,
    Conflict,
    NotRestored,
}

fn is_there(map: &Map, entity: u64) -> bool {
    map.get(&entity).is_some_and(|(_, _, value)| value.is_some())
}

/// The entity of an operation, the need for it to be there, and the value after it.
fn meaning(op: Op) -> (u64, bool, Option<u8>) {
    match op {
        Op::Create(entity, value) => (entity, false, Some(value)),
        Op::Update(entity, value) => (entity, true, Some(value)),
        Op::Delete(entity) => (entity, true, None),
    }
}

/// Does the operations one after the other, as the manager sees it, and then what they come to in the store.
fn persist(ops: &[Op], seen: &mut Map, kept: &mut Map) -> Result<(), Why> {
    let wrong = |is_there| if is_there { Why::Exists } else { Why::Missing };
    // By the entity: what is needed, and the last value.
    let mut staged: BTreeMap<u64, (bool, Option<u8>)> = BTreeMap::new();
    for &op in ops {
        let (entity, needs_it, value) = meaning(op);
        match staged.get_mut(&entity) {
            Some((_, before)) if before.is_some() != needs_it => return Err(wrong(before.is_some())),
            Some((_, before)) => *before = value,
            None => drop(staged.insert(entity, (needs_it, value))),
        }
    }
    // Deployments come before environments, and each by its number.
    let mut order: Vec<_> = staged.keys().copied().collect();
    order.sort_by_key(|entity| (entity % 2, *entity));
    let mut changes = Vec::new();
    for entity in order {
        let (needs_it, value) = staged[&entity];
        let was_there = is_there(seen, entity);
        if was_there != needs_it {
            return Err(wrong(was_there));
        }
        let change = match (was_there, value) {
            (false, None) => continue,
            (false, Some(_)) => Change::Create,
            (true, Some(_)) => Change::Update,
            (true, None) => Change::Delete,
        };
        let sequence = seen.get(&entity).map_or(0, |kept| kept.0) + 1;
        changes.push((entity, (sequence, change, value)));
    }
    let fits = |(entity, change): &(u64, Kept)| match kept.get(entity) {
        Some(kept) => kept == change || kept.0 + 1 == change.0,
        None => change.0 == 1,
    };
    if !changes.iter().all(fits) {
        return Err(Why::Conflict);
    }
    seen.extend(changes.iter().copied());
    kept.extend(changes);
    Ok(())
}

fn named(entity: u64) -> String {
    format!("e{entity}")
}

fn changes(ops: &[Op]) -> Changes {
    let text = |value: u8| value.to_string();
    ops.iter().fold(Changes::of(NAMESPACE), |changes, op| match *op {
        Op::Create(id, value) if id % 2 == 0 => changes.create(&deployment(id, &text(value))),
        Op::Create(id, value) => changes.create(&environment(&named(id), &text(value))),
        Op::Update(id, value) if id % 2 == 0 => changes.update(&deployment(id, &text(value))),
        Op::Update(id, value) => changes.update(&environment(&named(id), &text(value))),
        Op::Delete(id) if id % 2 == 0 => changes.delete::<Deployment>(&DeploymentId(id)),
        Op::Delete(id) => changes.delete::<Environment>(&named(id)),
    })
}

/// The repositories that go with a map.
fn expected(map: &Map) -> (Vec<Deployment>, Vec<Environment>) {
    let there = || {
        map.iter()
            .filter_map(|(id, (_, _, value))| Some((*id, (*value)?.to_string())))
    };
    let deployments = there()
        .filter(|(id, _)| id % 2 == 0)
        .map(|(id, value)| deployment(id, &value));
    let environments = there()
        .filter(|(id, _)| id % 2 == 1)
        .map(|(id, value)| environment(&named(id), &value));
    (deployments.collect(), environments.collect())
}

async fn comes_out_right(store: Arc<dyn StateStore>, history: Vec<Step>) {
    let managers = [Workspace::new(&store), Workspace::new(&store)];
    let (mut kept, mut seen) = (Map::new(), [None, None]);
    for step in history {
        match step {
            Step::Persist(manager, ops) => {
                let expected = match &mut seen[manager] {
                    Some(seen) => persist(&ops, seen, &mut kept),
                    // A mistake that needs no store to be found is reported at once.
                    None => match persist(&ops, &mut needed(&ops), &mut Map::new()) {
                        Err(why @ (Why::Exists | Why::Missing)) => Err(why),
                        _ => Err(Why::NotRestored),
                    },
                };
                let persisted = managers[manager].manager.persist(changes(&ops)).await;
                let persisted = persisted.map_err(|error| match error {
                    PersistError::Exists { .. } => Why::Exists,
                    PersistError::Missing { .. } => Why::Missing,
                    PersistError::Conflict { .. } => Why::Conflict,
                    PersistError::NotRestored { .. } => Why::NotRestored,
                    other => panic!("{other:?}"),
                });
                assert_eq!(persisted, expected, "{ops:?}");
            }
            Step::Restore(manager) => {
                let restored = managers[manager].manager.restore(NAMESPACE).await.unwrap();
                let there = kept.keys().filter(|entity| is_there(&kept, **entity)).count() as u64;
                assert_eq!(
                    (restored.entities, restored.deleted),
                    (there, kept.len() as u64 - there)
                );
                seen[manager] = Some(kept.clone());
            }
            Step::Purge => {
                let far = "2999-01-01T00:00:00Z".parse().unwrap();
                store.purge(Purge::tombstones(NAMESPACE, far)).await.unwrap();
                kept.retain(|_, (_, _, value)| value.is_some());
            }
        }
        for (workspace, seen) in managers.iter().zip(&seen) {
            assert_eq!(workspace.all(), expected(&seen.clone().unwrap_or_default()));
        }
    }
}

/// A map with those entities that the first operation of each needs.
fn needed(ops: &[Op]) -> Map {
    let mut map = Map::new();
    for &op in ops.iter().rev() {
        let (entity, needs_it, _) = meaning(op);
        map.insert(entity, (1, Change::Create, needs_it.then_some(0)));
    }
    map
}

proptest! {
    #![proptest_config(config(100, 5_000))]

    #[test]
    fn in_memory(history in history()) {
        run(comes_out_right(Arc::new(MemoryStore::new()), history));
    }

    #[test]
    fn lagging(history in history(), seed in any::<u64>()) {
        run(comes_out_right(Arc::new(Lagging::new(MemoryStore::new(), seed)), history));
    }
}

proptest! {
    #![proptest_config(config(20, 500))]

    #[test]
    fn on_sqlite(history in history()) {
        run(async {
            let folder = es_tests::tempdir().unwrap();
            let store = SqliteStore::open(folder.path().join("test.db")).await.unwrap();
            comes_out_right(Arc::new(store), history).await;
        });
    }

    #[test]
    fn on_postgres(history in history()) {
        run(async { comes_out_right(Arc::new(stores::postgres().await), history).await });
    }
}
