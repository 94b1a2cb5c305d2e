//! Processes that publish, and are killed at random moments: within each key nothing is missing, and repetitions are suffixes.

use std::fs::{OpenOptions, read_to_string};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use es_runtime::prelude::*;
use es_runtime::publication::{Outgoing, Sink, SinkError};
use es_tests::process::{Process, life};
use es_tests::{scaled, stores};

use es_tests::published::{Accounts, Writer, at_the_head, check, expected};

/// Where the store is whose events the process publishes.
const ADDRESS: &str = "ES_TESTS_PUBLISHING";
/// The file that stands for the broker: what is written survives the process.
const BROKER: &str = "ES_TESTS_BROKER";

struct FileSink(PathBuf);

#[async_trait]
impl Sink for FileSink {
    async fn publish(&self, _: &str, messages: &[Outgoing]) -> Result<(), SinkError> {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.0);
        for (done, message) in messages.iter().enumerate() {
            let line = format!("{} {}\n", message.key, message.id);
            let file = file
                .as_mut()
                .map_err(|error| SinkError::retry(done, error.to_string()))?;
            file.write_all(line.as_bytes())
                .map_err(|error| SinkError::retry(done, error))?;
            // So that a kill comes between two messages as well.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

/// Is a process of its own, if it is started as one: publishes until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn publishing_process() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let sink = FileSink(std::env::var(BROKER).unwrap().into());
    let builder = Runtime::builder(stores::open(&address).await).publication::<Accounts>(sink, Beginning::Start);
    let runtime = builder.start().await.unwrap();
    println!("\npublishing");
    life(async || {
        runtime
            .health()
            .await
            .is_ok_and(|health| health.publications[0].owner.is_some())
    })
    .await;
}

async fn nothing_is_missing_when_processes_are_killed(address: &str, broker: &Path) {
    let store = stores::open(address).await;
    let runtime = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
    let writer = Writer::start(&runtime).await;
    for kill in 0..scaled(6, 100) {
        let environment = [(ADDRESS, address), (BROKER, broker.to_str().unwrap())];
        let process = Process::start("killed::publishing_process", environment, "publishing");
        process.kill_as_owner(Duration::from_millis(kill * 7919 % 300)).await;
    }
    writer.end().await;
    runtime.shutdown().await.unwrap();

    // Published here, to the end.
    let store = stores::open(address).await;
    let sink = FileSink(broker.to_owned());
    let builder = Runtime::builder(Arc::clone(&store)).publication::<Accounts>(sink, Beginning::Start);
    let runtime = builder.start().await.unwrap();
    at_the_head(&runtime).await;
    let written = read_to_string(broker).unwrap();
    let published = written.lines().filter_map(|line| line.split_once(' '));
    check(published, &expected(&*store).await);
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_killed() {
    let folder = es_tests::tempdir().unwrap();
    let (file, broker) = (folder.path().join("test.db"), folder.path().join("broker"));
    nothing_is_missing_when_processes_are_killed(file.to_str().unwrap(), &broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_killed() {
    let folder = es_tests::tempdir().unwrap();
    let address = stores::postgres_address().await;
    nothing_is_missing_when_processes_are_killed(&address, &folder.path().join("broker")).await;
}
