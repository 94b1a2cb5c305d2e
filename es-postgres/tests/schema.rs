//! How a store is set up.

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};

use es_postgres::{PostgresStore, Schema, schema};
use es_runtime::{EventStore, StoreErrorKind};
use support::{Database, append, log};

#[tokio::test]
async fn a_missing_schema_is_refused_with_what_to_run() {
    let database = Database::empty().await;
    let error = PostgresStore::options()
        .connect_with(database.config.clone())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert!(error.to_string().contains("es_postgres::schema::apply"), "{error}");
    let nothing = "SELECT count(*) FROM pg_namespace WHERE nspname = 'es'";
    let found: i64 = database.client().await.query_one(nothing, &[]).await.unwrap().get(0);
    assert_eq!(found, 0, "a check changes nothing");
}

#[tokio::test]
async fn of_many_that_set_it_up_at_once_one_takes_each_step() {
    let database = Database::empty().await;
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let config = database.config.clone();
            tokio::spawn(async move {
                let store = support::open(PostgresStore::options().readers(1).apply_schema(), &config).await;
                store.append(append(&number.to_string(), 0..1)).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let store = database.open().await;
    assert_eq!(log(&store).await.len(), 8);
    schema::apply(&mut database.client().await, &Schema::default())
        .await
        .expect("again it does nothing");
    assert_eq!(log(&store).await.len(), 8);
}

/// Where a process finds the database that it is to set up.
const ADDRESS: &str = "ES_POSTGRES_TEST_SCHEMA";

/// The same by processes, which share nothing but the database, and begin when all of them are there.
#[tokio::test]
async fn of_eight_processes_that_set_it_up_at_once_one_takes_each_step() {
    let database = Database::empty().await;
    let server = std::env::var("ES_TEST_DATABASE_URL").unwrap();
    let mut processes: Vec<_> = (0..8)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["process_that_sets_it_up", "--exact", "--ignored", "--nocapture"])
                .env(ADDRESS, &database.name)
                .env("ES_TEST_DATABASE_URL", &server)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut said: Vec<_> = processes
        .iter_mut()
        .map(|process| BufReader::new(process.stdout.take().unwrap()))
        .collect();
    for output in &mut said {
        let is_there = output.lines().map_while(Result::ok).any(|line| line.trim() == "there");
        assert!(is_there, "a process did not come to the start");
    }
    for process in &mut processes {
        process.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }
    for (process, mut output) in processes.into_iter().zip(said) {
        // Read to the end, so that the process is not stuck in what it says.
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        let ended = process.wait_with_output().unwrap();
        assert!(
            ended.status.success(),
            "{rest}{}",
            String::from_utf8_lossy(&ended.stderr)
        );
    }
    let printed = schema::print(&Schema::default()).matches("-- Step ").count();
    let steps = "SELECT count(*) FROM es.schema_steps";
    let taken: i64 = database.client().await.query_one(steps, &[]).await.unwrap().get(0);
    assert_eq!(taken, i64::try_from(printed).unwrap(), "each step once");
    assert_eq!(log(&database.open().await).await.len(), 8);
}

#[tokio::test]
#[ignore = "started by another test"]
async fn process_that_sets_it_up() {
    let Ok(name) = std::env::var(ADDRESS) else { return };
    let mut config = support::server();
    config.dbname(&name);
    println!("\nthere");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let store = support::open(PostgresStore::options().readers(1).apply_schema(), &config).await;
    let id = std::process::id().to_string();
    store.append(append(&id, 0..1)).await.unwrap();
}

/// Every statement of the script is the last one that a killed process gets to.
#[tokio::test]
async fn whoever_is_killed_while_setting_it_up_leaves_whole_steps() {
    let script = schema::print(&Schema::default());
    let ends: Vec<usize> = script.match_indices(";\n").map(|(at, _)| at + 2).collect();
    let database = Database::empty().await;
    for end in ends.iter().step_by(support::scaled(5, 1)) {
        let killed = database.client().await;
        // A part of a function's body is an error, which ends the transaction as well.
        let _ = killed.batch_execute(&format!("BEGIN; {}", &script[..*end])).await;
        let pid: Option<i32> = killed
            .query_one("SELECT pg_backend_pid()", &[])
            .await
            .ok()
            .map(|row| row.get(0));
        if let Some(pid) = pid {
            let admin = database.client().await;
            admin
                .execute("SELECT pg_terminate_backend($1, 5000)", &[&pid])
                .await
                .unwrap();
        }
        drop(killed);
        let mut client = database.client().await;
        schema::apply(&mut client, &Schema::default()).await.unwrap();
        schema::check(&client, &Schema::default()).await.unwrap();
        client.batch_execute("DROP SCHEMA es CASCADE").await.unwrap();
    }
}

/// As whoever administers the server may have made it, or a setup that ended before its first step.
#[tokio::test]
async fn a_schema_with_nothing_in_it_is_set_up() {
    let database = Database::empty().await;
    let mut client = database.client().await;
    let script = schema::print(&Schema::default());
    let (begin, _) = script.split_once("-- Step").unwrap();
    for begun in ["CREATE SCHEMA es", begin] {
        client.batch_execute(begun).await.unwrap();
        let error = schema::check(&client, &Schema::default()).await.unwrap_err();
        assert!(error.to_string().contains("there is no store"), "{error}");
        schema::apply(&mut client, &Schema::default()).await.unwrap();
        schema::check(&client, &Schema::default()).await.unwrap();
        client.batch_execute("DROP SCHEMA es CASCADE").await.unwrap();
    }
}

/// The errors with which a store is refused that is left as it is.
async fn refusals(database: &Database) -> Vec<String> {
    let mut client = database.client().await;
    let steps = "SELECT string_agg(s::text, ' ' ORDER BY s.step) FROM es.schema_steps AS s";
    let before: String = client.query_one(steps, &[]).await.unwrap().get(0);
    let mut errors = vec![
        schema::check(&client, &Schema::default()).await.unwrap_err(),
        schema::apply(&mut client, &Schema::default()).await.unwrap_err(),
    ];
    for options in [PostgresStore::options(), PostgresStore::options().apply_schema()] {
        errors.push(options.connect_with(database.config.clone()).await.unwrap_err());
    }
    let after: String = client.query_one(steps, &[]).await.unwrap().get(0);
    assert_eq!(before, after, "a step was taken");
    assert!(
        errors.iter().all(|error| error.kind() == StoreErrorKind::Rejected),
        "{errors:?}"
    );
    errors.iter().map(ToString::to_string).collect()
}

/// Such a build counted its steps from 1, and ended anywhere up to 7.
#[tokio::test]
async fn a_store_of_a_build_before_the_first_release_is_refused_and_left_alone() {
    let database = Database::new().await;
    let client = database.client().await;
    client.batch_execute("DELETE FROM es.schema_steps").await.unwrap();
    for step in 1..=7 {
        let take = format!("INSERT INTO es.schema_steps (step, name) VALUES ({step}, '{step:03}')");
        client.batch_execute(&take).await.unwrap();
        for message in refusals(&database).await {
            let what = format!("schema `es` has version {step}, which a build before the first release made");
            assert!(message.contains(&what), "{message}");
            assert!(message.contains("name another schema"), "{message}");
        }
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let database = Database::new().await;
    let client = database.client().await;
    client
        .batch_execute("INSERT INTO es.schema_steps (step, name) VALUES (99, 'later')")
        .await
        .unwrap();
    for message in refusals(&database).await {
        assert!(message.contains("has version 99"), "{message}");
        assert!(message.contains("use a newer es-postgres"), "{message}");
    }
}

#[tokio::test]
async fn what_is_printed_is_what_is_applied() {
    let database = Database::empty().await;
    let schema = Schema::new("Bank \"A\"").unwrap();
    let client = database.client().await;
    client
        .batch_execute(&format!("BEGIN; {}; COMMIT", schema::print(&schema)))
        .await
        .unwrap();
    schema::check(&client, &schema).await.unwrap();
    let store = support::open(PostgresStore::options().schema(schema), &database.config).await;
    store.append(append("1", 0..2)).await.unwrap();
    let shown = client
        .query_one(
            "SELECT stream, version FROM \"Bank \"\"A\"\"\".events WHERE position = 2",
            &[],
        )
        .await;
    assert_eq!(shown.unwrap().get::<_, &str>(0), "test/1");
}
