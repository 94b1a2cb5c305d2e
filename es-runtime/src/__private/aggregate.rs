use crate::{Aggregate, EventSourced, StreamId};

/// The name of an aggregate.
pub const fn aggregate_name<A: EventSourced>() -> &'static str {
    A::NAME
}

/// The stream of the instance with this natural key.
pub fn stream_id<A: Aggregate>(id: &A::Id) -> StreamId {
    StreamId::new(A::NAME, id.to_string())
}

/// Stands where a method would be called that the macro has reported.
pub fn after_error<T, R>(_: T) -> R {
    unreachable!("code with an error does not run")
}
