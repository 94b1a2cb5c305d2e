use tokio::sync::oneshot;

use super::{CommandError, Rebuild};
use crate::Position;

/// Tells a running projection what to do.
pub(crate) struct Order {
    pub(crate) what: What,
    pub(crate) reply: oneshot::Sender<Result<(), CommandError>>,
}

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

impl Order {
    /// Answers it. Nobody need wait for the answer any more.
    pub(crate) fn reply(self, answer: Result<(), CommandError>) {
        drop(self.reply.send(answer));
    }
}
