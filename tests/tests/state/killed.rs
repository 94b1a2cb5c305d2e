//! A process that is killed after changes were saved, and before the repositories have them.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::state::{Changes, Entities, Repository, StateManager};
use es_runtime::store::StateStore;
use es_tests::process::Process;
use es_tests::{SqliteStore, stores};

use super::domain::{Deployment, DeploymentId, Environment, NAMESPACE, Workspace, deployment, environment};

/// Where the store is into which the process saves.
const ADDRESS: &str = "ES_TESTS_STATE";

async fn open(address: &str) -> Arc<dyn StateStore> {
    if address.starts_with("postgres") {
        Arc::new(stores::postgres_at(address).await)
    } else {
        Arc::new(SqliteStore::open(address).await.unwrap())
    }
}

/// Says that it is asked, and never comes back.
struct Stuck;

impl Repository<Deployment> for Stuck {
    fn replace(&self, _: Vec<Arc<Deployment>>) {}

    fn put(&self, _: Arc<Deployment>) {
        println!("\nsaved");
        std::thread::sleep(Duration::from_secs(600));
    }

    fn remove(&self, _: &DeploymentId) {}
}

/// Is a process of its own, if it is started as one: saves, and then hangs until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn saving_process() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let builder = StateManager::builder(open(&address).await).repository(Stuck);
    let manager = builder.repository(Entities::<Environment>::new()).build();
    manager.restore(NAMESPACE).await.unwrap();
    let changes = Changes::of(NAMESPACE)
        .update(&deployment(1, "b"))
        .create(&deployment(2, "new"))
        .create(&environment("prod", "eu"));
    manager.persist(changes).await.unwrap();
}

async fn what_was_saved_is_there_as_a_whole(address: &str) {
    let workspace = Workspace::restored(&open(address).await).await;
    workspace
        .manager
        .persist(Changes::of(NAMESPACE).create(&deployment(1, "a")))
        .await
        .unwrap();
    Process::start("killed::saving_process", [(ADDRESS, address)], "saved").kill();
    workspace.manager.restore(NAMESPACE).await.unwrap();
    let expected = (
        vec![deployment(1, "b"), deployment(2, "new")],
        vec![environment("prod", "eu")],
    );
    assert_eq!(workspace.all(), expected);
    workspace
        .manager
        .persist(Changes::of(NAMESPACE).update(&deployment(2, "newer")))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_whole_after_a_kill_on_sqlite() {
    let folder = es_tests::tempdir().unwrap();
    let file = folder.path().join("test.db");
    what_was_saved_is_there_as_a_whole(file.to_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_whole_after_a_kill_on_postgres() {
    what_was_saved_is_there_as_a_whole(&stores::postgres_address().await).await;
}
