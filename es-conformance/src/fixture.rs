use std::sync::Arc;

use async_trait::async_trait;
use es_runtime::store::{Append, ProjectionStore, StateStore};
use es_runtime::{Clock, EventStore, Position};

use crate::{Capability, SqlTables};

/// One store under test: where it is, how it is opened, and what can be done to it from outside.
///
/// Each case makes its own fixture and finds an empty store in it. Whatever the fixture holds (a directory, a database) is to
/// be gone when it is dropped. Only [`open`](Self::open) is needed; every other method makes more cases apply.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// What the store offers beyond the core.
    fn capabilities(&self) -> &[Capability] {
        &[]
    }

    /// Opens the store, which takes its time from `clock` if it takes it from a clock of the process.
    ///
    /// Opened again it holds the same events, whether the handles before are still there or not: a store that lives in this
    /// process gives the handle that it has.
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore>;

    /// Opens the store as [`open`](Self::open) does, if it keeps projections.
    async fn open_projections(&self, clock: Arc<dyn Clock>) -> Option<Arc<dyn ProjectionStore>> {
        let _ = clock;
        None
    }

    /// Opens the store as [`open`](Self::open) does, if it runs SQL projections.
    async fn open_sql(&self, clock: Arc<dyn Clock>) -> Option<Arc<dyn SqlTables>> {
        let _ = clock;
        None
    }

    /// Opens the store as [`open`](Self::open) does, if it keeps states: as the store of events says, unless written otherwise.
    async fn open_states(&self, clock: Arc<dyn Clock>) -> Option<Arc<dyn StateStore>> {
        self.open(clock).await.state_store()
    }

    /// The same in another process, at what [`address`](Self::address) gave in the first.
    async fn open_states_at(&self, address: &str, clock: Arc<dyn Clock>) -> Option<Arc<dyn StateStore>> {
        self.open_at(address, clock).await.state_store()
    }

    /// Removes the events above `to`, as the restore of an older backup would, and leaves the rest as it is. Whether it did.
    async fn rewind(&self, to: Position) -> bool {
        let _ = to;
        false
    }

    /// Where another process finds the store: its path, its URL. `None` if only this process can open it.
    fn address(&self) -> Option<String> {
        None
    }

    /// Opens, in another process, the store at what [`address`](Self::address) gave in the first.
    async fn open_at(&self, address: &str, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        let _ = clock;
        panic!("the fixture has the address `{address}`, but does not implement `open_at`");
    }

    /// How many events a read fetches at a time, if it works in pages: the seams between them are tried.
    fn page(&self) -> Option<usize> {
        None
    }

    /// Begins a transaction beside the store's own connections, does `work` in it and leaves it open.
    async fn begin(&self, work: Work<'_>) -> Option<Box<dyn Transaction>> {
        let _ = work;
        None
    }

    /// Everything that is stored, tables and all, as text: two equal dumps mean that nothing was changed between them.
    async fn dump(&self) -> Option<String> {
        None
    }

    /// What the open store itself reads back of the settings that make it flush before it acknowledges, or what is wrong with
    /// them.
    async fn flushes_before_ack(&self) -> Option<Result<String, String>> {
        None
    }

    /// The environment of a process in which one flush of the store fails, some time after it was opened.
    fn failing_flush(&self) -> Option<Vec<(String, String)>> {
        None
    }
}

/// What an outside transaction does before it is left open.
#[derive(Debug, Clone, Copy)]
pub enum Work<'a> {
    /// Appends, in the store's own form and with the store's own locks, but does not commit.
    Append(&'a Append),
    /// Writes something that is not the store's: to another table.
    Unrelated,
}

/// A transaction that is left open, begun beside the store's own connections.
#[async_trait]
pub trait Transaction: Send {
    /// Commits it.
    async fn commit(self: Box<Self>);

    /// Rolls it back.
    async fn roll_back(self: Box<Self>);
}
