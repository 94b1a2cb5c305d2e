//! A real pgbouncer before the server, where it is installed.

mod support;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use es_postgres::PostgresStore;
use es_runtime::{EventStore, StoreErrorKind};
use futures_util::future::join_all;
use support::{Database, address, append, at_port, log, scaled};
use tempfile::TempDir;
use tokio_postgres::Config;

struct Pooler {
    process: Child,
    config: Config,
    _directory: TempDir,
}

impl Pooler {
    /// `None`, said why, where there is no pgbouncer.
    async fn start(database: &Database, mode: &str) -> Option<Self> {
        let program = ["pgbouncer", "/usr/sbin/pgbouncer"].into_iter().find(|program| {
            let version = Command::new(program).arg("--version").stdout(Stdio::null()).status();
            version.is_ok_and(|status| status.success())
        });
        let Some(program) = program else {
            println!("skipped: pgbouncer is not installed (apt-get install pgbouncer)");
            return None;
        };
        let directory = tempfile::Builder::new()
            .permissions(PermissionsExt::from_mode(0o755))
            .tempdir()
            .unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (host, server) = address(&database.config);
        let user = database.config.get_user().expect("a URL names a user");
        let settings = directory.path().join("pgbouncer.ini");
        let content = format!(
            "[databases]\n* = host={host} port={server} user={user}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = {mode}\nmax_client_conn = 1000\ndefault_pool_size = 100\n"
        );
        std::fs::write(&settings, content).unwrap();
        let mut command = Command::new(program);
        // It does not run as root.
        if std::fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0) {
            command.args(["-u", "nobody"]);
        }
        let process = command.arg("--quiet").arg(&settings).spawn().expect("it starts");
        let mut pooler = Self {
            process,
            config: at_port(&database.config, port),
            _directory: directory,
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(pooler.process.try_wait().unwrap().is_none(), "pgbouncer has ended");
            assert!(Instant::now() < deadline, "pgbouncer does not listen");
            tokio::task::yield_now().await;
        }
        Some(pooler)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the settings that a client finds if it asks for none. Each of `count` clients gets a session of its own.
async fn settings_of_sessions(config: &Config, count: usize) -> Vec<String> {
    let clients = join_all((0..count).map(|_| support::connect(config))).await;
    let mut found = Vec::new();
    for client in &clients {
        // Its session is not lent to the next one before the end.
        client.batch_execute("BEGIN").await.unwrap();
        let settings = "SELECT concat_ws(' ', current_setting('synchronous_commit'), current_setting('default_transaction_isolation'), \
                        current_setting('lock_timeout'), current_setting('tcp_keepalives_idle'))";
        let rows = client.simple_query(settings).await.unwrap();
        found.extend(rows.iter().find_map(|row| match row {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }));
    }
    found.sort();
    found.dedup();
    found
}

/// Also while many start at once, and others use the pooler.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_shares_sessions_is_refused_every_time_and_nothing_is_left_set() {
    const AT_ONCE: usize = 16;
    let database = Database::new().await;
    for mode in ["transaction", "statement"] {
        let Some(pooler) = Pooler::start(&database, mode).await else {
            return;
        };
        let others: Vec<_> = (0..4)
            .map(|_| {
                let config = pooler.config.clone();
                tokio::spawn(async move {
                    let client = support::connect(&config).await;
                    loop {
                        client.simple_query("SELECT pg_sleep(0.001)").await.unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..scaled(2, 20) {
            let opened = join_all((0..AT_ONCE).map(|_| PostgresStore::options().connect_with(pooler.config.clone())));
            for opened in opened.await {
                let error = opened.expect_err("it is refused");
                assert_eq!(error.kind(), StoreErrorKind::Rejected, "{error}");
                assert!(
                    error
                        .to_string()
                        .contains("a pooler in transaction mode stands before the server"),
                    "{error}"
                );
            }
        }
        for other in others {
            other.abort();
        }
        if mode == "transaction" {
            let direct = settings_of_sessions(&database.config, 1).await;
            assert_eq!(settings_of_sessions(&pooler.config, 2 * AT_ONCE).await, direct);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_in_session_mode_is_as_good_as_none() {
    let database = Database::new().await;
    let Some(pooler) = Pooler::start(&database, "session").await else {
        return;
    };
    for before in 0..3 {
        let opened = join_all((0..4).map(|_| PostgresStore::options().readers(2).connect_with(pooler.config.clone())));
        for store in opened.await {
            let store = store.expect("it opens");
            store.append(append("1", 0..2)).await.unwrap();
            log(&store).await;
            store.close().await.unwrap();
        }
        let store = support::open(PostgresStore::options(), &pooler.config).await;
        assert_eq!(log(&store).await.len(), 8 * (before + 1));
    }
}
