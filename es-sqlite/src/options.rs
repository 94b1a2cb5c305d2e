use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use es_runtime::{Clock, Limits, StoreError, SystemClock};

use crate::SqliteStore;

/// The moment at which an append counts as stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the disk: it survives a loss of power. (`synchronous=FULL`)
    #[default]
    Full,
    /// When the operating system has it: it survives the end of the process, but **a loss of power may take the last
    /// appends that returned `Ok`**. The others stay whole and in order. (`synchronous=NORMAL`)
    Normal,
}

impl Durability {
    /// As SQLite calls it.
    pub(crate) fn pragma(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
        }
    }
}

/// Options for opening a [`SqliteStore`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use es_sqlite::SqliteStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), es_runtime::StoreError> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("bank.db");
/// let store = SqliteStore::options()
///     .readers(2)
///     .busy_timeout(Duration::from_secs(30))
///     .open(path)
///     .await?;
/// # es_runtime::EventStore::close(&store).await
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct SqliteOptions {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    pub(crate) readers: usize,
    pub(crate) busy_timeout: Duration,
    pub(crate) durability: Durability,
}

impl SqliteOptions {
    pub(crate) fn new() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            limits: Limits::default(),
            readers: 4,
            busy_timeout: Duration::from_secs(5),
            durability: Durability::default(),
        }
    }

    /// Sets the clock for recording times. By default the system's clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the largest allowed append. By default [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the number of reading threads, each with a connection of its own; at least one. By default 4.
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// Sets how long to wait for another process that is writing to the file. By default 5 seconds.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Sets when an append counts as stored. By default when it is on the disk.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Opens the file, and creates it if there is none.
    ///
    /// # Errors
    ///
    /// [`Rejected`](es_runtime::StoreErrorKind::Rejected) if the file is no store, if a newer version of this crate wrote
    /// it, if it is on a network file system, or if it cannot be made as durable as required.
    pub async fn open(self, path: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        SqliteStore::open_with(path.as_ref(), self).await
    }
}
