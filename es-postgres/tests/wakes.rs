//! Hints at appends, from the same process and from others.

mod support;

use std::time::Duration;

use es_postgres::PostgresStore;
use es_runtime::{EventStore, Position};
use support::{Database, address, append, at_port, open, scaled};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_postgres::Config;

/// A condition for a session that listens: its last query was for the end of the log.
const LISTENS: &str = "query LIKE 'SELECT coalesce(max(position)%' AND pid <> pg_backend_pid()";

/// Only so that a test without a hint ends.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_append_is_hinted_at_here_and_elsewhere() {
    let database = Database::new().await;
    // Two stores know of each other no more than two processes do.
    let (here, elsewhere) = (database.open().await, database.open().await);
    let (mut own, mut other) = (here.wakes(), elsewhere.wakes());
    for number in 0..20 {
        let appended = here.append(append(&number.to_string(), 0..2)).await.unwrap();
        let head = appended.head().unwrap();
        for wakes in [&mut own, &mut other] {
            while timeout(LONG, wakes.beyond(Position(head.0 - 1)))
                .await
                .expect("a hint comes")
                < head
            {}
        }
    }
}

#[tokio::test]
async fn who_begins_to_listen_hears_of_the_head_and_a_lost_connection_is_replaced() {
    let database = Database::new().await;
    let (here, elsewhere) = (database.open().await, database.open().await);
    here.append(append("1", 0..3)).await.unwrap();
    let mut wakes = elsewhere.wakes();
    assert_eq!(
        timeout(LONG, wakes.beyond(Position::ZERO))
            .await
            .expect("the head is hinted at"),
        3
    );
    let ended = database
        .client()
        .await
        .query_one(
            &format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND {LISTENS}"),
            &[],
        )
        .await
        .unwrap();
    assert_eq!(ended.get::<_, i64>(0), 1);
    here.append(append("2", 0..3)).await.unwrap();
    assert_eq!(
        timeout(LONG, wakes.beyond(Position(5)))
            .await
            .expect("it listens again"),
        6
    );
}

#[tokio::test]
async fn after_a_storm_of_kills_one_listener_is_left() {
    let database = Database::new().await;
    let (here, elsewhere) = (database.open().await, database.open().await);
    let mut wakes = elsewhere.wakes();
    let client = database.client().await;
    let listeners = async |what: &str| {
        let sql = format!("SELECT {what} FROM pg_stat_activity WHERE datname = current_database() AND {LISTENS}");
        client.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0)
    };
    for kill in 0..scaled(20, 100) {
        let killed = async {
            while listeners("count(pg_terminate_backend(pid))").await == 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, killed)
            .await
            .unwrap_or_else(|_| panic!("nobody listens after {kill} kills"));
    }
    let head = here.append(append("1", 0..3)).await.unwrap().head().unwrap();
    let hinted = timeout(LONG, wakes.beyond(Position(head.0 - 1))).await;
    assert_eq!(hinted.expect("it listens again"), head);
    let alone = async {
        while listeners("count(*)").await != 1 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, alone).await.expect("one listens");
}

#[tokio::test]
async fn nobody_listens_unless_somebody_asked() {
    let database = Database::new().await;
    let store = database.open().await;
    store.append(append("1", 0..1)).await.unwrap();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
               AND (query LIKE 'LISTEN%' OR query LIKE 'SELECT coalesce(max(position)%')";
    let client = database.client().await;
    let listening = async || client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
    let before = listening().await;
    let mut wakes = store.wakes();
    timeout(LONG, wakes.beyond(Position::ZERO)).await.unwrap();
    // The hint may be that of the append; the listener comes soon after.
    let connected = async {
        while listening().await == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, connected).await.expect("somebody listens");
    assert_eq!(before, 0);
}

/// Nobody ends the connection, and nobody answers on it: as behind a router that has forgotten it.
#[tokio::test]
async fn a_connection_that_went_silent_is_replaced() {
    let database = Database::new().await;
    let here = database.open().await;
    let (silence, silent) = watch::channel(false);
    let options = PostgresStore::options()
        .readers(1)
        .lock_timeout(Duration::from_secs(1))
        .answer_timeout(Duration::from_secs(2));
    let elsewhere = open(options, &through_proxy(&database.config, silent).await).await;
    let mut wakes = elsewhere.wakes();
    here.append(append("1", 0..3)).await.unwrap();
    timeout(LONG, wakes.beyond(Position(2)))
        .await
        .expect("the first is hinted at");
    silence.send_replace(true);
    here.append(append("2", 0..3)).await.unwrap();
    assert_eq!(
        timeout(LONG, wakes.beyond(Position(5)))
            .await
            .expect("it listens again"),
        6
    );
}

/// Passes connections on to the server; those that there are when `silent` becomes true pass nothing on from then on.
async fn through_proxy(config: &Config, silent: watch::Receiver<bool>) -> Config {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = address(config);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(server.clone()).await.unwrap();
            let mut silent = silent.clone();
            silent.mark_unchanged();
            tokio::spawn(async move {
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => {}
                    _ = silent.changed() => std::future::pending().await,
                }
            });
        }
    });
    at_port(config, port)
}
