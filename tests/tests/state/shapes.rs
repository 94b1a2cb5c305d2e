//! Entities that older and newer builds have stored.

use std::sync::Arc;

use es_runtime::DecodeError;
use es_runtime::state::{Changes, Entities, PersistError, RestoreError, StateManager};
use es_runtime::store::{Change, Demand, StateChange, StateKey, StateStore};
use es_tests::on_every_state_store;

use super::domain::{Deployment, DeploymentId, Environment, NAMESPACE, Workspace, deployment, environment};

/// Saves a change as another build would.
async fn save(
    store: &dyn StateStore,
    (kind, id): (&'static str, &str),
    sequence: u64,
    shape: u64,
    payload: Option<&str>,
) {
    let change = StateChange {
        key: StateKey::new(NAMESPACE, kind, id),
        sequence,
        change: match payload {
            None => Change::Delete,
            Some(_) if sequence == 1 => Change::Create,
            Some(_) => Change::Update,
        },
        shape,
        payload: payload.map(|payload| payload.to_owned().into()),
    };
    store.save(vec![change], Demand::Next).await.unwrap();
}

/// The error of a restore, after which the repositories and the namespace are as before.
async fn refused(workspace: &Workspace) -> RestoreError {
    let before = workspace.all();
    let refused = workspace.manager.restore(NAMESPACE).await.unwrap_err();
    assert_eq!(workspace.all(), before);
    refused
}

on_every_state_store! {
    async fn an_older_shape_is_restored_and_written_as_the_current_one(store: _) {
        save(&*store, ("environment", "prod"), 1, 1, Some(r#"{"name":"prod"}"#)).await;
        let workspace = Workspace::restored(&store).await;
        assert_eq!(workspace.all().1, [environment("prod", "eu")]);
        workspace.manager.persist(Changes::of(NAMESPACE).update(&environment("prod", "us"))).await.unwrap();
        let kept = store.get(&StateKey::new(NAMESPACE, "environment", "prod")).await.unwrap().unwrap();
        assert_eq!((kept.sequence, kept.shape), (2, 2));
        assert_eq!(kept.payload.unwrap(), br#"{"name":"prod","region":"us"}"#[..]);
        assert_eq!(Workspace::restored(&store).await.all().1, [environment("prod", "us")]);
    }

    async fn an_unknown_kind_or_version_is_an_error_unless_it_is_left(store: _) {
        let workspace = Workspace::restored(&store).await;
        workspace.manager.persist(Changes::of(NAMESPACE).create(&deployment(1, "a"))).await.unwrap();
        // One that is deleted is nobody's loss, whatever it was.
        save(&*store, ("gone", "1"), 1, 1, Some("{}")).await;
        save(&*store, ("gone", "1"), 2, 1, None).await;
        save(&*store, ("environment", "old"), 1, 7, Some("{}")).await;
        save(&*store, ("environment", "old"), 2, 2, Some(r#"{"name":"old","region":"us"}"#)).await;
        assert_eq!(workspace.manager.restore(NAMESPACE).await.unwrap().deleted, 1);

        save(&*store, ("environment", "next"), 1, 3, Some(r#"{"id":"next"}"#)).await;
        let error = refused(&workspace).await;
        assert!(
            matches!(&error, RestoreError::UnknownEntity { entity, version: 3 } if entity.to_string() == "workspace-1/environment/next"),
            "{error:?}"
        );
        save(&*store, ("cluster", "1"), 1, u64::MAX, Some("{}")).await;
        let error = refused(&workspace).await;
        assert!(
            matches!(&error, RestoreError::UnknownEntity { entity, version: u64::MAX } if *entity.kind == *"cluster"),
            "{error:?}"
        );
        // The manager goes on with what it knew.
        workspace.manager.persist(Changes::of(NAMESPACE).update(&deployment(1, "b"))).await.unwrap();

        let environments = Entities::<Environment>::new();
        let builder = StateManager::builder(Arc::clone(&store)).repository(environments.clone()).leave_unknown();
        let manager = builder.build();
        let restored = manager.restore(NAMESPACE).await.unwrap();
        assert_eq!((restored.entities, restored.unknown, restored.deleted), (1, 3, 1));
        assert_eq!(environments.iter().map(|one| one.name.clone()).collect::<Vec<_>>(), ["old"]);
        // Nothing that was left is lost.
        let changes = [
            Changes::of(NAMESPACE).create(&environment("next", "eu")),
            Changes::of(NAMESPACE).update(&environment("next", "eu")),
            Changes::of(NAMESPACE).delete::<Environment>(&"next".to_owned()),
        ];
        for changes in changes {
            let refused = manager.persist(changes).await.unwrap_err();
            assert!(matches!(&refused, PersistError::LeftUnknown { entity } if entity.id == "next"), "{refused:?}");
        }
        let kept = store.get(&StateKey::new(NAMESPACE, "environment", "next")).await.unwrap().unwrap();
        assert_eq!((kept.sequence, kept.shape), (1, 3));
    }

    async fn what_cannot_be_read_is_named(store: _) {
        let workspace = Workspace::restored(&store).await;
        workspace.manager.persist(Changes::of(NAMESPACE).create(&deployment(1, "a"))).await.unwrap();
        // Another id than the one under which it is kept: it would be restored as that one.
        save(&*store, ("deployment", "d3"), 1, 1, Some(r#"{"id":1,"name":"b"}"#)).await;
        let error = refused(&workspace).await;
        let RestoreError::Unreadable { entity, version: 1, source: DecodeError::Malformed(source) } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(entity.to_string(), "workspace-1/deployment/d3");
        assert_eq!(source.to_string(), "it is kept as `d3`, and its own id is `d1`");
        // The first one is told, and `leave_unknown` leaves none of these.
        save(&*store, ("deployment", "d2"), 1, 1, Some(r#"{"id":2}"#)).await;
        let builder = StateManager::builder(Arc::clone(&store)).repository(Entities::<Deployment>::new());
        let error = builder.leave_unknown().build().restore(NAMESPACE).await.unwrap_err();
        assert!(
            matches!(&error, RestoreError::Unreadable { entity, source: DecodeError::Malformed(_), .. } if entity.id == "d2"),
            "{error:?}"
        );
    }

    async fn an_entity_moves_from_its_alias_to_its_name_when_it_is_changed(store: _) {
        let release = |name: &str| renamed::Release { id: DeploymentId(1), name: name.to_owned() };
        let old = Workspace::restored(&store).await;
        let created = Changes::of(NAMESPACE).create(&deployment(1, "a")).create(&deployment(2, "b"));
        old.manager.persist(created).await.unwrap();

        let releases = Entities::<renamed::Release>::new();
        let manager = StateManager::builder(Arc::clone(&store)).repository(releases.clone()).build();
        assert_eq!(manager.restore(NAMESPACE).await.unwrap().entities, 2);
        assert_eq!(*releases.get(&DeploymentId(1)).unwrap(), release("a"));
        let exists = manager.persist(Changes::of(NAMESPACE).create(&release("c"))).await.unwrap_err();
        assert!(matches!(exists, PersistError::Exists { .. }), "{exists:?}");
        let changed = Changes::of(NAMESPACE).update(&release("c")).delete::<renamed::Release>(&DeploymentId(2));
        manager.persist(changed).await.unwrap();
        let kept = async |kind, id| {
            let kept = store.get(&StateKey::new(NAMESPACE, kind, id)).await.unwrap();
            kept.map(|kept| (kept.sequence, kept.change))
        };
        assert_eq!(kept("release", "d1").await, Some((1, Change::Create)));
        assert_eq!(kept("deployment", "d1").await, Some((2, Change::Delete)));
        assert_eq!(kept("release", "d2").await, None);
        assert_eq!(kept("deployment", "d2").await, Some((2, Change::Delete)));
        manager.persist(Changes::of(NAMESPACE).update(&release("d"))).await.unwrap();
        let restored = manager.restore(NAMESPACE).await.unwrap();
        assert_eq!((restored.entities, restored.deleted), (1, 2));
        assert_eq!(*releases.get(&DeploymentId(1)).unwrap(), release("d"));

        // A build that knows the old name only has not noticed: it may not change what has moved.
        let refused = old.manager.persist(Changes::of(NAMESPACE).update(&deployment(1, "e"))).await.unwrap_err();
        assert!(matches!(refused, PersistError::Conflict { kept: 2, given: 2, .. }), "{refused:?}");
        // If it creates the entity anew, nobody knows which of them it is.
        let builder = StateManager::builder(Arc::clone(&store)).repository(old.deployments.clone());
        let careless = builder.leave_unknown().build();
        careless.restore(NAMESPACE).await.unwrap();
        careless.persist(Changes::of(NAMESPACE).create(&deployment(1, "f"))).await.unwrap();
        let twice = manager.restore(NAMESPACE).await.unwrap_err();
        assert!(
            matches!(&twice, RestoreError::Twice { entity, also: "release" } if *entity.kind == *"deployment" && entity.id == "d1"),
            "{twice:?}"
        );
    }

    async fn a_chain_of_structs_is_restored(store: _) {
        save(&*store, ("host", "a"), 1, 1, Some(r#"{"name":"a","address":"10.0.0.1"}"#)).await;
        save(&*store, ("host", "b"), 1, 1, Some(r#"{"name":"b","address":"nowhere"}"#)).await;
        let hosts = Entities::<chained::Host>::new();
        let manager = StateManager::builder(Arc::clone(&store)).repository(hosts.clone()).build();
        let error = manager.restore(NAMESPACE).await.unwrap_err();
        assert!(
            matches!(&error, RestoreError::Unreadable { entity, source: DecodeError::Upcast { from: 1, to: 2, .. }, .. } if entity.id == "b"),
            "{error:?}"
        );
        save(&*store, ("host", "b"), 2, 2, Some(r#"{"name":"b","address":[10,0,0,2]}"#)).await;
        manager.restore(NAMESPACE).await.unwrap();
        assert_eq!(hosts.iter().map(|host| host.address).collect::<Vec<_>>(), [[10, 0, 0, 1], [10, 0, 0, 2]]);
    }
}

mod renamed {
    use es_runtime::prelude::*;

    use super::DeploymentId;

    #[entity(name = "release", alias = "deployment", id = id)]
    pub(crate) struct Release {
        pub(crate) id: DeploymentId,
        pub(crate) name: String,
    }
}

mod chained {
    use std::net::{AddrParseError, Ipv4Addr};

    use es_runtime::prelude::*;

    #[entity(id = name, version = 2, try_from = HostV1)]
    pub(crate) struct Host {
        pub(crate) name: String,
        pub(crate) address: [u8; 4],
    }

    #[entity(name = "host", id = name)]
    pub(crate) struct HostV1 {
        pub(crate) name: String,
        pub(crate) address: String,
    }

    impl TryFrom<HostV1> for Host {
        type Error = AddrParseError;

        fn try_from(old: HostV1) -> Result<Self, AddrParseError> {
            let address: Ipv4Addr = old.address.parse()?;
            Ok(Self {
                name: old.name,
                address: address.octets(),
            })
        }
    }
}
