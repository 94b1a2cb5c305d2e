//! A database for each test.

#![allow(dead_code, reason = "each test file uses its part")]

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use es_postgres::{PostgresOptions, PostgresStore, Schema, schema};
use tokio_postgres::{Client, Config, NoTls};

/// The URL of the server on which the tests make their databases.
pub(crate) fn server() -> Config {
    let url = std::env::var("ES_TEST_DATABASE_URL").unwrap_or_else(|_| {
        panic!(
            "this test needs PostgreSQL: run scripts/test, or `scripts/postgres run -- cargo test -p es-postgres`, or set \
             ES_TEST_DATABASE_URL to the URL of a server on which databases may be created"
        )
    });
    url.parse().expect("ES_TEST_DATABASE_URL is the URL of a database")
}

/// A connection without any of the store's settings.
pub(crate) async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("the test server lets us in");
    tokio::spawn(connection);
    client
}

/// A database of its own, which is dropped in the end.
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) config: Config,
}

impl Database {
    /// An empty database.
    pub(crate) async fn empty() -> Self {
        Self::create("template0").await
    }

    /// A database with a store in schema `es`.
    pub(crate) async fn new() -> Self {
        Self::create(template()).await
    }

    async fn create(template: &str) -> Self {
        let name = unique("es_test");
        let admin = connect(&server()).await;
        // Only one session may copy a template at a time.
        admin
            .batch_execute("SELECT pg_advisory_lock(4210)")
            .await
            .expect("a lock");
        admin
            .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY wal_log"))
            .await
            .expect("a database can be created");
        let config = server().dbname(&*name).clone();
        Self { name, config }
    }

    pub(crate) async fn client(&self) -> Client {
        connect(&self.config).await
    }

    pub(crate) fn options(&self) -> PostgresOptions {
        PostgresStore::options().readers(3)
    }

    pub(crate) async fn open(&self) -> PostgresStore {
        self.options()
            .connect_with(self.config.clone())
            .await
            .expect("the store opens")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        blocking(async move || {
            // What cannot be dropped stays behind.
            let _ = connect(&server()).await.batch_execute(&drop).await;
        });
    }
}

/// Waits for a future on a thread and a runtime of its own: the runtime of the test may be at its end, or be the one that
/// waits.
pub(crate) fn blocking<F, T>(future: impl FnOnce() -> F + Send + 'static) -> T
where
    F: Future<Output = T>,
    T: Send + 'static,
{
    let waiting = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(future())
    });
    waiting.join().expect("no panic")
}

/// The database that the others are copied from. It stays on the server, for the next process of tests.
fn template() -> &'static str {
    static TEMPLATE: OnceLock<String> = OnceLock::new();
    TEMPLATE.get_or_init(|| blocking(make_template))
}

/// Named after what is in it, so that a template of another build is left alone.
async fn make_template() -> String {
    let mut hasher = DefaultHasher::new();
    schema::print(&Schema::default()).hash(&mut hasher);
    let name = format!("es_template_{:016x}", hasher.finish());
    let admin = connect(&server()).await;
    admin
        .batch_execute("SELECT pg_advisory_lock(4211)")
        .await
        .expect("a lock");
    let exists = admin
        .query("SELECT FROM pg_database WHERE datname = $1", &[&name])
        .await;
    if exists.expect("databases are listed").is_empty() {
        let half_made = format!("{name}_new");
        let create = format!("CREATE DATABASE {half_made} TEMPLATE template0");
        admin
            .batch_execute(&format!("DROP DATABASE IF EXISTS {half_made} WITH (FORCE)"))
            .await
            .expect("dropped");
        admin.batch_execute(&create).await.expect("a database can be created");
        let (mut client, connection) = server()
            .dbname(&*half_made)
            .connect(NoTls)
            .await
            .expect("it lets us in");
        let connection = tokio::spawn(connection);
        schema::apply(&mut client, &Schema::default())
            .await
            .expect("the schema is set up");
        drop(client);
        // A template must not be in use.
        let _ = connection.await;
        let rename = format!("ALTER DATABASE {half_made} RENAME TO {name}");
        while admin.batch_execute(&rename).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    name
}

fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}_{}_{number}", std::process::id())
}
