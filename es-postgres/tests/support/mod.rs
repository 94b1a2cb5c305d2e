//! A database for each test.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::HashMap;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use es_postgres::{PostgresOptions, PostgresStore, Schema, schema};
use es_runtime::store::{Append, ReadLog};
use es_runtime::{EventId, EventStore, ExpectedVersion, Metadata, NewEvent, RecordedEvent, StreamId};
use futures_util::TryStreamExt;
use tempfile::TempDir;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

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

/// Where the server is.
pub(crate) fn address(config: &Config) -> (String, u16) {
    let Host::Tcp(host) = config.get_hosts()[0].clone() else {
        panic!("the test server is reached by TCP");
    };
    (host, config.get_ports()[0])
}

/// The same database, by way of another port of this machine.
pub(crate) fn at_port(config: &Config, port: u16) -> Config {
    let mut at_port = Config::new();
    at_port
        .host("127.0.0.1")
        .port(port)
        .user(config.get_user().expect("a URL names a user"))
        .dbname(config.get_dbname().expect("a URL names a database"));
    if let Some(password) = config.get_password() {
        at_port.password(password);
    }
    at_port
}

/// A connection without any of the store's settings.
pub(crate) async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("the test server lets us in");
    tokio::spawn(connection);
    client
}

pub(crate) async fn open(options: PostgresOptions, config: &Config) -> PostgresStore {
    options.connect_with(config.clone()).await.expect("the store opens")
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

    /// An empty database whose text is encoded so.
    pub(crate) async fn encoded_as(encoding: &str) -> Self {
        Self::create(&format!("template0 ENCODING '{encoding}'")).await
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

    pub(crate) async fn open(&self) -> PostgresStore {
        open(PostgresStore::options().readers(3), &self.config).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        blocking(async move || {
            // A schema that cannot be dropped stays behind.
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

/// Events that hold a number each.
pub(crate) fn events(numbers: std::ops::Range<u64>) -> Vec<NewEvent> {
    numbers
        .map(|number| NewEvent {
            id: EventId(Uuid::now_v7()),
            name: "counted".into(),
            shape_version: 1,
            payload: format!(r#"{{"number":{number}}}"#).into(),
            metadata: Metadata::EMPTY,
        })
        .collect()
}

pub(crate) fn stream(id: &str) -> StreamId {
    StreamId::new("test", id)
}

/// An append that demands nothing.
pub(crate) fn append(id: &str, numbers: std::ops::Range<u64>) -> Append {
    Append::new(stream(id), ExpectedVersion::Any, events(numbers))
}

/// The whole log, after checking what holds of it at any time: no gap in the positions, none in the versions.
pub(crate) async fn log(store: &PostgresStore) -> Vec<RecordedEvent> {
    let log: Vec<RecordedEvent> = store
        .read_log(ReadLog::new())
        .try_collect()
        .await
        .expect("the log can be read");
    let mut versions: HashMap<StreamId, u64> = HashMap::new();
    for (event, position) in log.iter().zip(1..) {
        assert_eq!(event.position, position);
        let version = versions.entry(event.stream.clone()).or_default();
        *version += 1;
        assert_eq!(event.version, *version, "{}", event.stream);
    }
    log
}

/// Waits until the server has no session of the database in a transaction that is not at work.
pub(crate) async fn nothing_idle_in_transaction(client: &Client) {
    const SQL: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    let deadline = Instant::now() + Duration::from_secs(5);
    while client
        .query_one(SQL, &[])
        .await
        .expect("sessions are listed")
        .get::<_, i64>(0)
        > 0
    {
        assert!(Instant::now() < deadline, "a session is left in a transaction");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A server of its own, for what cannot be done to one that others use.
pub(crate) struct Cluster {
    directory: TempDir,
    pub(crate) config: Config,
}

impl Cluster {
    /// Starts one, with these settings.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("es-postgres-")
            .permissions(PermissionsExt::from_mode(0o755))
            .tempdir()
            .expect("a directory");
        let url = script("start", directory.path(), settings);
        let config = url.trim().parse().expect("a URL");
        Self { directory, config }
    }

    /// Starts it again, with these settings.
    pub(crate) fn start_again(&self, settings: &[&str]) {
        script("start", self.directory.path(), settings);
    }

    /// Writes a file that only the server may read into its data directory.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let data = self.directory.path().join("data");
        let file = data.join(name);
        std::fs::write(&file, content).expect("the file is written");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("only for the server");
        let owner = std::fs::metadata(data).expect("the data directory");
        std::os::unix::fs::chown(file, Some(owner.uid()), Some(owner.gid())).expect("the server's");
    }

    pub(crate) fn stop(&self) {
        script("stop", self.directory.path(), &[]);
    }

    /// Ends all of its processes at once, as a loss of power would.
    pub(crate) fn kill(&self) {
        script("kill", self.directory.path(), &[]);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

fn script(command: &str, directory: &Path, settings: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/postgres");
    let settings = settings.iter().flat_map(|setting| ["-c", setting]);
    let output = Command::new(script)
        .arg(command)
        .arg(directory)
        .args(settings)
        .output()
        .expect("the script runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// `full` if the environment has `ES_TEST_SCALE=full`, else `quick`.
pub(crate) fn scaled<T>(quick: T, full: T) -> T {
    match std::env::var("ES_TEST_SCALE").as_deref() {
        Ok("full") => full,
        _ => quick,
    }
}
