//! Everything that is persisted is restored, and nothing else is.

use std::sync::Arc;

use es_runtime::prelude::*;
use es_runtime::state::{Changes, Entities, PersistError, StateManager};
use es_runtime::store::{Change, Purge, StateChange, StateKey, StateStore};
use es_runtime::{MemoryStore, StoreErrorKind};
use es_tests::on_every_state_store;

use super::domain::{Deployment, DeploymentId, Environment, NAMESPACE, Workspace, deployment, environment};

/// The last change of an entity in the store: its sequence and its kind.
async fn kept(store: &dyn StateStore, kind: &'static str, id: &str) -> Option<(u64, Change)> {
    let kept = store.get(&StateKey::new(NAMESPACE, kind, id)).await.unwrap();
    kept.map(|StateChange { sequence, change, .. }| (sequence, change))
}

fn changes() -> Changes {
    Changes::of(NAMESPACE)
}

fn entity(kind: &'static str, id: &str) -> StateKey {
    StateKey::new(NAMESPACE, kind, id)
}

on_every_state_store! {
    async fn what_was_persisted_is_restored_ordered_by_id(store: _) {
        let first = Workspace::restored(&store).await;
        let created = changes()
            .create(&deployment(10, "Web"))
            .create(&deployment(9, "API"))
            .create(&environment("prod", "us"))
            .create(&environment("dev", "eu"));
        first.manager.persist(created).await.unwrap();
        let changed = changes()
            .update(&deployment(9, "API v2"))
            .delete::<Environment>(&"prod".to_owned());
        first.manager.persist(changed).await.unwrap();

        let expected = (vec![deployment(9, "API v2"), deployment(10, "Web")], vec![environment("dev", "eu")]);
        assert_eq!(first.all(), expected);
        let second = Workspace::new(&store);
        let restored = second.manager.restore(NAMESPACE).await.unwrap();
        assert_eq!((restored.entities, restored.deleted, restored.unknown), (3, 1, 0));
        assert_eq!(second.all(), expected);
        assert_eq!(second.deployments.get(&DeploymentId(9)).unwrap().name, "API v2");
        assert!(second.environments.get(&"prod".to_owned()).is_none());
        assert_eq!((second.deployments.len(), second.environments.is_empty()), (2, false));
    }

    async fn changes_of_one_entity_become_one(store: _) {
        let workspace = Workspace::restored(&store).await;
        let id = DeploymentId(1);
        let many = changes().create(&deployment(1, "a")).update(&deployment(1, "b")).update(&deployment(1, "c"));
        assert_eq!(many.len(), 1);
        workspace.manager.persist(many).await.unwrap();
        assert_eq!(kept(&*store, "deployment", "d1").await, Some((1, Change::Create)));
        assert_eq!(workspace.all().0, [deployment(1, "c")]);

        let replaced = changes().delete::<Deployment>(&id).create(&deployment(1, "d"));
        workspace.manager.persist(replaced).await.unwrap();
        assert_eq!(kept(&*store, "deployment", "d1").await, Some((2, Change::Update)));
        assert_eq!(workspace.all().0, [deployment(1, "d")]);

        let deleted = changes().update(&deployment(1, "e")).delete::<Deployment>(&id);
        workspace.manager.persist(deleted).await.unwrap();
        assert_eq!(kept(&*store, "deployment", "d1").await, Some((3, Change::Delete)));
        assert!(workspace.deployments.is_empty());

        let nothing = changes().create(&deployment(1, "f")).delete::<Deployment>(&id);
        workspace.manager.persist(nothing).await.unwrap();
        assert_eq!(kept(&*store, "deployment", "d1").await, Some((3, Change::Delete)));
        workspace.manager.persist(changes()).await.unwrap();
    }

    async fn what_cannot_be_is_refused_as_a_whole(store: _) {
        let workspace = Workspace::restored(&store).await;
        workspace.manager.persist(changes().create(&deployment(1, "a"))).await.unwrap();
        let id = DeploymentId(1);
        let good = || changes().create(&deployment(0, "good"));
        let refused = [
            (good().create(&deployment(1, "b")), true),
            (good().update(&deployment(2, "b")), false),
            (good().delete::<Deployment>(&DeploymentId(2)), false),
            // Nothing would be saved of it.
            (good().create(&deployment(1, "b")).delete::<Deployment>(&id), true),
            (good().update(&deployment(1, "b")).create(&deployment(1, "c")), true),
            (good().delete::<Deployment>(&id).update(&deployment(1, "c")), false),
            (good().delete::<Deployment>(&id).delete::<Deployment>(&id), false),
            // Also before a change that could follow.
            (good().delete::<Deployment>(&id).delete::<Deployment>(&id).create(&deployment(1, "c")), false),
        ];
        for (changes, exists) in refused {
            match workspace.manager.persist(changes).await.unwrap_err() {
                PersistError::Exists { entity } if exists => assert_eq!(entity.to_string(), "workspace-1/deployment/d1"),
                PersistError::Missing { .. } if !exists => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(workspace.all().0, [deployment(1, "a")]);
        assert_eq!(kept(&*store, "deployment", "d0").await, None);
    }

    async fn only_a_namespace_that_was_restored_is_changed(store: _) {
        let workspace = Workspace::new(&store);
        let created = || changes().create(&deployment(1, "a"));
        let refused = workspace.manager.persist(created()).await.unwrap_err();
        assert!(matches!(&refused, PersistError::NotRestored { namespace } if namespace == NAMESPACE), "{refused:?}");
        workspace.manager.restore(NAMESPACE).await.unwrap();
        workspace.manager.persist(created()).await.unwrap();

        // Another one takes its place, in the repositories too.
        let restored = workspace.manager.restore("workspace-2").await.unwrap();
        assert_eq!(restored.entities, 0);
        assert!(workspace.deployments.is_empty());
        let refused = workspace.manager.persist(changes().update(&deployment(1, "b"))).await.unwrap_err();
        assert!(matches!(refused, PersistError::NotRestored { .. }), "{refused:?}");
        let elsewhere = Changes::of("workspace-2").create(&deployment(1, "b"));
        workspace.manager.persist(elsewhere).await.unwrap();
        assert_eq!(Workspace::restored(&store).await.all().0, [deployment(1, "a")]);
    }

    async fn the_later_of_two_managers_decides_again(store: _) {
        let (one, two) = (Workspace::restored(&store).await, Workspace::restored(&store).await);
        one.manager.persist(changes().create(&deployment(1, "a"))).await.unwrap();
        let late = || changes().create(&deployment(1, "b")).create(&deployment(2, "b"));
        let refused = two.manager.persist(late()).await.unwrap_err();
        assert!(
            matches!(&refused, PersistError::Conflict { entity, kept: 1, given: 1 } if entity.id == "d1"),
            "{refused:?}"
        );
        assert!(two.deployments.is_empty());
        // Other entities are not concerned.
        two.manager.persist(changes().create(&deployment(3, "c"))).await.unwrap();

        two.manager.restore(NAMESPACE).await.unwrap();
        let refused = two.manager.persist(late()).await.unwrap_err();
        assert!(matches!(refused, PersistError::Exists { .. }), "{refused:?}");
        two.manager.persist(changes().update(&deployment(1, "b"))).await.unwrap();
        let refused = one.manager.persist(changes().delete::<Deployment>(&DeploymentId(1))).await.unwrap_err();
        assert!(matches!(refused, PersistError::Conflict { kept: 2, given: 2, .. }), "{refused:?}");
        assert_eq!(one.all().0, [deployment(1, "a")]);
        one.manager.restore(NAMESPACE).await.unwrap();
        assert_eq!(one.all(), two.all());
    }

    async fn a_deleted_entity_is_created_again(store: _) {
        let workspace = Workspace::restored(&store).await;
        let (id, create) = (DeploymentId(1), |name| changes().create(&deployment(1, name)));
        workspace.manager.persist(create("a")).await.unwrap();
        workspace.manager.persist(changes().delete::<Deployment>(&id)).await.unwrap();
        // The one that was restored before knows of the tombstone, and so does one that restores it.
        let late = Workspace::restored(&store).await;
        late.manager.persist(create("b")).await.unwrap();
        assert_eq!(kept(&*store, "deployment", "d1").await, Some((3, Change::Create)));

        late.manager.persist(changes().delete::<Deployment>(&id)).await.unwrap();
        let purge = Purge::tombstones(NAMESPACE, "2999-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(store.purge(purge).await.unwrap(), 1);
        // A manager that remembers it restores first.
        let refused = late.manager.persist(create("c")).await.unwrap_err();
        assert!(matches!(refused, PersistError::Conflict { kept: 0, given: 5, .. }), "{refused:?}");
        let restored = late.manager.restore(NAMESPACE).await.unwrap();
        assert_eq!((restored.entities, restored.deleted), (0, 0));
        late.manager.persist(create("c")).await.unwrap();
        assert_eq!(kept(&*store, "deployment", "d1").await, Some((1, Change::Create)));
    }

    async fn too_many_changes_are_refused_before_anything_is_saved(store: _) {
        let workspace = Workspace::restored(&store).await;
        let most = u64::try_from(StateChange::MOST_CHANGES).unwrap();
        let many = (0..=most).fold(changes(), |changes, id| changes.create(&deployment(id, "a")));
        let refused = workspace.manager.persist(many).await.unwrap_err();
        assert!(matches!(&refused, PersistError::LimitExceeded(_)), "{refused:?}");
        let large = changes().create(&deployment(1, &"x".repeat(StateChange::MOST_BYTES)));
        let refused = workspace.manager.persist(large).await.unwrap_err();
        assert!(matches!(&refused, PersistError::LimitExceeded(_)), "{refused:?}");
        assert!(workspace.deployments.is_empty());
        assert_eq!(workspace.manager.restore(NAMESPACE).await.unwrap().entities, 0);
    }
}

#[entity(id = id)]
struct Measure {
    id: String,
    value: f64,
}

/// An id that another one is read from.
#[value]
#[derive(Eq, PartialOrd, Ord)]
struct Loud(String);

impl std::fmt::Display for Loud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_uppercase())
    }
}

impl std::str::FromStr for Loud {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

#[entity(id = id)]
struct Shout {
    id: Loud,
}

#[tokio::test]
async fn what_cannot_be_stored_is_named() {
    let measures = Entities::<Measure>::new();
    let builder = StateManager::builder(MemoryStore::new()).repository(measures.clone());
    let manager = builder.repository(Entities::<Shout>::new()).build();
    manager.restore(NAMESPACE).await.unwrap();
    let measure = |id: &str, value| Measure {
        id: id.to_owned(),
        value,
    };

    let refused = manager
        .persist(changes().create(&measure("a", f64::NAN)))
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, PersistError::Encode { entity: key, .. } if *key == entity("measure", "a")),
        "{refused:?}"
    );
    let shout = Shout {
        id: Loud("quiet".to_owned()),
    };
    let refused = manager.persist(changes().create(&shout)).await.unwrap_err();
    assert!(
        matches!(&refused, PersistError::Encode { entity: key, .. } if *key == entity("shout", "QUIET")),
        "{refused:?}"
    );
    let refused = manager.persist(changes().delete::<Shout>(&shout.id)).await.unwrap_err();
    assert!(matches!(&refused, PersistError::Encode { .. }), "{refused:?}");
    for id in ["", "a\0b", &"x".repeat(513)] {
        let refused = manager.persist(changes().create(&measure(id, 1.0))).await.unwrap_err();
        assert!(
            matches!(&refused, PersistError::Rejected(error) if error.kind() == StoreErrorKind::Rejected),
            "{refused:?}"
        );
    }
    let reserved = manager.restore("es").await.unwrap_err();
    assert!(reserved.to_string().contains("choose another"), "{reserved}");
    assert!(measures.is_empty());
}

#[tokio::test]
async fn an_entity_without_a_repository_is_refused() {
    let manager = StateManager::builder(MemoryStore::new())
        .repository(Entities::<Measure>::new())
        .build();
    manager.restore(NAMESPACE).await.unwrap();
    let refused = manager
        .persist(changes().create(&deployment(1, "a")))
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, PersistError::NoRepository { kind: "deployment" }),
        "{refused:?}"
    );
}

mod elsewhere {
    use es_runtime::prelude::*;

    /// Another type of the same name.
    #[entity(id = id)]
    pub(super) struct Measure {
        pub id: String,
    }
}

#[tokio::test]
async fn another_type_of_the_same_name_is_refused() {
    let manager = StateManager::builder(MemoryStore::new())
        .repository(Entities::<Measure>::new())
        .build();
    manager.restore(NAMESPACE).await.unwrap();
    let other = elsewhere::Measure { id: "a".to_owned() };
    let refused = manager.persist(changes().create(&other)).await.unwrap_err();
    assert!(
        matches!(&refused, PersistError::NoRepository { kind: "measure" }),
        "{refused:?}"
    );
}

#[test]
#[should_panic(expected = "two repositories are for entities named `measure`")]
fn two_entities_of_one_name_do_not_start() {
    let builder = StateManager::builder(MemoryStore::new()).repository(Entities::<Measure>::new());
    let _ = builder.repository(Entities::<elsewhere::Measure>::new());
}

#[tokio::test]
async fn readers_of_a_repository_keep_what_they_look_at() {
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::new());
    let workspace = Workspace::restored(&store).await;
    workspace
        .manager
        .persist(changes().create(&deployment(1, "a")))
        .await
        .unwrap();
    let (before, one) = (
        workspace.deployments.iter(),
        workspace.deployments.get(&DeploymentId(1)).unwrap(),
    );
    workspace
        .manager
        .persist(changes().update(&deployment(1, "b")))
        .await
        .unwrap();
    assert_eq!(
        (before.map(|one| one.name.clone()).collect::<Vec<_>>(), &*one.name),
        (vec!["a".to_owned()], "a")
    );
    assert_eq!(workspace.deployments.get(&DeploymentId(1)).unwrap().name, "b");
}
