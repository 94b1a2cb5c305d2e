//! Servers that end, wait and move, on clusters of their own.

mod support;

use std::collections::{HashMap, HashSet};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use es_postgres::PostgresStore;
use es_runtime::store::{AppendError, AppendRef};
use es_runtime::{EventId, EventStore, StoreErrorKind, StreamId};
use support::{Cluster, Database, append, log, scaled};
use tokio_postgres::config::Host;

/// The events of appends: those that were acknowledged, and those of which it is to be found out.
#[derive(Default)]
struct Told {
    acknowledged: Vec<Vec<EventId>>,
    doubtful: Vec<(AppendRef, Vec<EventId>)>,
    refused: Vec<Vec<EventId>>,
}

/// Appends until the store has told of a failure: three appends as a chain, or each for itself.
async fn write(store: PostgresStore, id: String, as_chain: bool, told: Arc<Mutex<Told>>) {
    loop {
        let sent = if as_chain { 3 } else { 1 };
        let sent: Vec<_> = (0..sent).map(|_| append(&id, 0..3)).collect();
        let ids = sent
            .iter()
            .map(|append| append.events().map(|event| event.id).collect());
        let ids: Vec<(AppendRef, Vec<EventId>)> = sent.iter().map(AppendRef::of).zip(ids).collect();
        let answers = store.append_chain(sent).await;
        let mut told = told.lock().unwrap();
        let mut ids = ids.into_iter();
        for answer in answers {
            let (reference, of_append) = ids.next().expect("an answer is that of an append");
            match answer {
                Ok(_) => told.acknowledged.push(of_append),
                Err(AppendError::Indeterminate { .. }) => {
                    told.doubtful.push((reference, of_append));
                    // So are those behind it.
                    told.doubtful.extend(ids.by_ref());
                }
                Err(AppendError::Store(error)) => {
                    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
                    told.refused.push(of_append);
                    told.refused.extend(ids.by_ref().map(|(_, of_append)| of_append));
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(
            ids.len(),
            0,
            "each append is answered, or stands behind the last answer"
        );
        if !told.doubtful.is_empty() || !told.refused.is_empty() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost_when_the_server_is_killed() {
    let cluster = Cluster::start(&[]);
    let options = PostgresStore::options().readers(2).apply_schema();
    let store = support::open(options.clone(), &cluster.config).await;
    for round in 0..scaled(3, 30) {
        let told = Arc::<Mutex<Told>>::default();
        let writers: Vec<_> = (0..8)
            .map(|number| {
                let id = format!("{round}-{number}");
                tokio::spawn(write(store.clone(), id, number % 2 == 0, Arc::clone(&told)))
            })
            .collect();
        let started = Instant::now();
        while told.lock().unwrap().acknowledged.is_empty() {
            assert!(started.elapsed() < Duration::from_secs(60), "nothing is acknowledged");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // At another moment each time.
        tokio::time::sleep(Duration::from_millis(37 * (round % 7))).await;
        cluster.kill();
        for writer in writers {
            writer.await.unwrap();
        }
        cluster.start_again(&[]);
        let told = std::mem::take(&mut *told.lock().unwrap());

        // The same handle goes on, and tells what became of the appends that were under way.
        let mut stored = told.acknowledged;
        let mut absent = told.refused;
        let mut ended: HashSet<StreamId> = HashSet::new();
        for (reference, ids) in told.doubtful {
            let resolved = store.resolve(&reference).await.unwrap();
            if resolved.is_some() {
                assert!(
                    !ended.contains(&reference.stream),
                    "of a chain the first appends are stored"
                );
                stored.push(ids);
            } else {
                ended.insert(reference.stream);
                absent.push(ids);
            }
        }
        let prefix = format!("{round}-");
        let mut found: HashMap<EventId, usize> = HashMap::new();
        for event in log(&store).await {
            if event.stream.id().starts_with(&prefix) {
                *found.entry(event.id).or_default() += 1;
            }
        }
        for id in stored.iter().flatten() {
            assert_eq!(
                found.remove(id),
                Some(1),
                "acknowledged or resolved as stored, and so there once"
            );
        }
        for id in absent.iter().flatten() {
            assert_eq!(found.get(id), None, "told as not stored");
        }
        assert!(found.is_empty(), "nothing else is there");
    }
}

/// A commit that waits for a standby which does not answer: until an administrator cancels the wait nobody is told anything, and
/// then not that all is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_standbys_have_not_confirmed_is_told_as_such() {
    let cluster = Cluster::start(&[]);
    let store = support::open(PostgresStore::options().apply_schema(), &cluster.config).await;
    store.append(append("1", 0..1)).await.unwrap();
    let admin = support::connect(&cluster.config).await;
    // The administrator himself waits for nobody.
    admin.batch_execute("SET synchronous_commit = local").await.unwrap();
    admin
        .batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'missing'")
        .await
        .unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;

    let sent = vec![append("1", 0..2), append("1", 0..3)];
    let references = [&sent[0], &sent[1]].map(AppendRef::of);
    let waiting = {
        let store = store.clone();
        tokio::spawn(async move { store.append_chain(sent).await })
    };
    let pid = waiting_for_standby(&admin).await;
    assert!(!waiting.is_finished());
    assert_eq!(store.head().await.unwrap(), 1, "nobody sees it yet");
    admin.execute("SELECT pg_cancel_backend($1)", &[&pid]).await.unwrap();
    let answers = waiting.await.unwrap();
    assert!(
        matches!(&answers[..], [Err(AppendError::UnderReplicated { append })] if **append == references[0]),
        "{answers:?}"
    );
    for reference in &references {
        assert!(store.resolve(reference).await.unwrap().is_some());
    }
    assert_eq!(store.head().await.unwrap(), 6);
}

/// The session of an append that is inside its commit: the answer to `resolve` waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resolve_waits_for_a_commit_that_is_under_way() {
    let cluster = Cluster::start(&[]);
    let options = PostgresStore::options()
        .apply_schema()
        .answer_timeout(Duration::from_secs(1));
    let store = support::open(options, &cluster.config).await;
    store.append(append("1", 0..1)).await.unwrap();
    let admin = support::connect(&cluster.config).await;
    admin.batch_execute("SET synchronous_commit = local").await.unwrap();
    admin
        .batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'missing'")
        .await
        .unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;

    let sent = append("1", 0..2);
    let reference = AppendRef::of(&sent);
    let result = store.append(sent).await;
    assert!(matches!(result, Err(AppendError::Indeterminate { .. })), "{result:?}");
    let pid = waiting_for_standby(&admin).await;
    let busy = store.resolve(&reference).await.unwrap_err();
    assert!(
        busy.to_string().contains(&format!("process {pid}")),
        "no answer is given yet: {busy}"
    );
    let resolving = {
        let store = store.clone();
        let reference = reference.clone();
        tokio::spawn(async move { store.resolve(&reference).await })
    };
    admin.execute("SELECT pg_cancel_backend($1)", &[&pid]).await.unwrap();
    let resolved = resolving.await.unwrap().unwrap().expect("it is stored");
    assert_eq!(resolved.streams[0].version, 3);
}

/// The process that waits for a standby.
async fn waiting_for_standby(admin: &tokio_postgres::Client) -> i32 {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let waiting = admin
            .query_opt("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'", &[])
            .await
            .unwrap();
        if let Some(row) = waiting {
            return row.get(0);
        }
        assert!(Instant::now() < deadline, "nobody waits");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A dump that is restored into another cluster keeps everything readable and in order, and the log goes on where it ended.
#[tokio::test]
async fn a_dump_is_restored_into_another_cluster() {
    let database = Database::new().await;
    let store = database.open().await;
    for number in 0..50 {
        store
            .append(append(&(number % 7).to_string(), 0..number % 3 + 1))
            .await
            .unwrap();
    }
    let before = log(&store).await;
    let dump = Command::new(binary("pg_dump"))
        .args(address(&database.config))
        .arg(&database.name)
        .output()
        .unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));

    let cluster = Cluster::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dump.sql");
    std::fs::write(&file, &dump.stdout).unwrap();
    let restore = Command::new(binary("psql"))
        .args(address(&cluster.config))
        .args(["--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", "postgres", "--file"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(restore.status.success(), "{}", String::from_utf8_lossy(&restore.stderr));

    let restored = support::open(PostgresStore::options(), &cluster.config).await;
    assert_eq!(log(&restored).await, before);
    let appended = restored.append(append("0", 0..1)).await.unwrap();
    assert_eq!(appended.streams[0].position.0, before.len() as u64 + 1);
    log(&restored).await;
}

fn address(config: &tokio_postgres::Config) -> [String; 6] {
    let Host::Tcp(host) = &config.get_hosts()[0] else {
        panic!("the test server is reached by TCP");
    };
    let port = config.get_ports()[0].to_string();
    let user = config.get_user().unwrap().to_owned();
    [
        "--host".to_owned(),
        host.clone(),
        "--port".to_owned(),
        port,
        "--username".to_owned(),
        user,
    ]
}

/// A program of PostgreSQL: in `PATH`, or where Debian keeps it.
fn binary(name: &str) -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    let found = folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|file| file.exists());
    found.unwrap_or_else(|| panic!("`{name}` of PostgreSQL is not installed"))
}
