use std::fmt;

/// A feature that a store offers beyond the core of the contract. A case whose capability the fixture does not declare
/// is skipped, and the skip is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// It keeps what it acknowledged when it is closed, and when its process is killed.
    Durable,
    /// It waits for replicas.
    Replicated,
    /// One append may span several streams.
    MultiStream,
    /// It keeps payloads that are not JSON.
    AnyPayload,
    /// An append may be conditional on a query over the log.
    ConditionalQuery,
    /// It keeps snapshots.
    Snapshots,
    /// A projection and its checkpoint commit in one transaction of the store.
    TxProjections,
    /// It runs methods that write tables of their own in the transaction of the checkpoint, or in that of an append.
    SqlProjections,
    /// It keeps the latest state of entities.
    States,
    /// It gives out whole appends, and restores them.
    Archive,
    /// It can forget idempotency keys.
    ForgetKeys,
    /// It keeps an outbox.
    Outbox,
    /// It tells readers of new events.
    PushWake,
    /// It separates tenants.
    Tenants,
    /// It can erase personal data.
    Erasure,
    /// Its log is a chain of hashes.
    HashChain,
    /// Streams can be truncated.
    Truncate,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Durable => "DURABLE",
            Self::Replicated => "REPLICATED",
            Self::MultiStream => "MULTI_STREAM",
            Self::AnyPayload => "ANY_PAYLOAD",
            Self::ConditionalQuery => "CONDITIONAL_QUERY",
            Self::Snapshots => "SNAPSHOTS",
            Self::TxProjections => "TX_PROJECTIONS",
            Self::SqlProjections => "SQL_PROJECTIONS",
            Self::States => "STATES",
            Self::Archive => "ARCHIVE",
            Self::ForgetKeys => "FORGET_KEYS",
            Self::Outbox => "OUTBOX",
            Self::PushWake => "PUSH_WAKE",
            Self::Tenants => "TENANTS",
            Self::Erasure => "ERASURE",
            Self::HashChain => "HASH_CHAIN",
            Self::Truncate => "TRUNCATE",
        })
    }
}
