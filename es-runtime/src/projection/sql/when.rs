//! When the methods of a projection run.

use crate::projection::{InMemory, InStore, Inline, InlineMeta, Live, Meta};
use crate::{Aggregate, BelongsToOneAggregate, RecordedEvent};

/// The time at which the methods of a projection run, given by its [`Projection::Rows`](crate::Projection::Rows).
pub trait When {
    /// Whether they run in the transaction of the append.
    const INLINE: bool = false;

    /// What they are told of an event of aggregate `A`.
    type Meta<A: Aggregate>: Send + Sync;

    /// Returns the metadata of `event` for them. `None` if it is not of a stream of `A`.
    fn meta<A: Aggregate>(event: &RecordedEvent) -> Option<Self::Meta<A>>;
}

macro_rules! after_the_append {
    ($($place:ident),+) => {
        $(impl When for $place {
            type Meta<A: Aggregate> = Meta<A>;

            fn meta<A: Aggregate>(event: &RecordedEvent) -> Option<Meta<A>> {
                Meta::of(event)
            }
        })+
    };
}

after_the_append!(InStore, InMemory, Live);

impl When for Inline {
    const INLINE: bool = true;

    type Meta<A: Aggregate> = InlineMeta<A>;

    fn meta<A: Aggregate>(event: &RecordedEvent) -> Option<InlineMeta<A>> {
        InlineMeta::of(event)
    }
}

/// The metadata of event `E` for the methods of projection `P`.
pub type MetaOf<P, E> = <<P as crate::Projection>::Rows as When>::Meta<<E as BelongsToOneAggregate>::Aggregate>;

/// Metadata that can be given as an `M`. Everything known before the append is known after it too.
#[diagnostic::on_unimplemented(
    message = "the method is told `{Self}`, not `{M}`",
    label = "not what it is told",
    note = "the aggregate is that of the event",
    note = "with `inline` take `&InlineMeta<…>`: before it is appended, an event has no position and no time of recording"
)]
pub trait Tells<M> {
    /// It, as a `M`.
    fn tell(&self) -> &M;
}

impl<A: Aggregate> Tells<Self> for Meta<A> {
    fn tell(&self) -> &Self {
        self
    }
}

impl<A: Aggregate> Tells<InlineMeta<A>> for Meta<A> {
    fn tell(&self) -> &InlineMeta<A> {
        self
    }
}

impl<A: Aggregate> Tells<Self> for InlineMeta<A> {
    fn tell(&self) -> &Self {
        self
    }
}
