use crate::{Position, consumer};

/// What comes from outside to the task of a handler.
pub(crate) type Calls = consumer::Calls<Order>;

/// Tells the task of a handler what to do.
pub(crate) type Order = consumer::Order<What>;

pub(crate) type Call = consumer::Call<Order>;

pub(crate) enum What {
    /// Try the held or parked event again.
    Retry(Position),
    /// Give the held or parked event up.
    Skip(Position, String),
}
