use super::Rebuild;
use crate::{Position, consumer};

/// Tells a running projection what to do.
pub(crate) type Order = consumer::Order<What>;

pub(crate) enum What {
    /// Try the held or parked event again.
    Retry(Position),
    /// Give the held or parked event up.
    Skip(Position, String),
    /// Build all rows anew.
    Rebuild(Rebuild),
    /// Drop what is built beside.
    CancelRebuild,
    /// Take the lease, if it is free, and go on as ever.
    TakeTurn,
}
