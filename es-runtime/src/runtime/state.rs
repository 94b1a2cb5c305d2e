use std::any::Any;

use futures_core::future::BoxFuture;
use futures_util::TryStreamExt as _;

use super::Runtime;
use super::load::Until;
use crate::error::UnreadableEvent;
use crate::store::ReadStream;
use crate::{
    DecodeError, Decoded, EventEnum, EventId, EventSourced, LoadError, Position, StoreError, StoreErrorKind,
    StoredEvent, StreamId, Timestamp, UnknownEvent, Version, metrics,
};

/// The state of an instance at a version.
pub(super) struct Current<A> {
    /// Boxed, so that it can be [erased](Erased) for the cache without being moved.
    pub(super) state: Box<Option<A>>,
    pub(super) version: Version,
    /// Of the last event folded.
    pub(super) position: Position,
    /// The last event folded.
    pub(super) last: Option<EventId>,
    /// The time of the last event folded.
    pub(super) recorded_at: Timestamp,
    /// The size of the events folded, as they are stored: an estimate of the memory of the state.
    pub(super) bytes: usize,
}

impl<A> Default for Current<A> {
    fn default() -> Self {
        Self {
            state: Box::new(None),
            version: Version::ZERO,
            position: Position::ZERO,
            last: None,
            recorded_at: Timestamp::MIN,
            bytes: 0,
        }
    }
}

/// A [`Current`] of any aggregate.
pub(super) struct Erased {
    /// An `Option<A>`.
    state: Box<dyn Any + Send + Sync>,
    pub(super) version: Version,
    pub(super) position: Position,
    pub(super) last: Option<EventId>,
    pub(super) recorded_at: Timestamp,
    pub(super) bytes: usize,
}

impl Erased {
    /// The state as that of `A`.
    pub(super) fn typed<A: EventSourced>(self) -> Current<A> {
        let Self {
            state,
            version,
            position,
            last,
            recorded_at,
            bytes,
        } = self;
        match state.downcast() {
            Ok(state) => Current {
                state,
                version,
                position,
                last,
                recorded_at,
                bytes,
            },
            Err(_) => same_name::<A>(),
        }
    }

    /// The state as that of `A`.
    pub(super) fn state_mut<A: EventSourced>(&mut self) -> &mut Option<A> {
        match self.state.downcast_mut() {
            Some(state) => state,
            None => same_name::<A>(),
        }
    }
}

pub(super) fn same_name<A: EventSourced>() -> ! {
    panic!(
        "two aggregates are named `{}`: give one of them another name, `#[es(name = \"…\")]`",
        A::NAME
    )
}

impl<A: EventSourced> From<Current<A>> for Erased {
    fn from(current: Current<A>) -> Self {
        let Current {
            state,
            version,
            position,
            last,
            recorded_at,
            bytes,
        } = current;
        Self {
            state,
            version,
            position,
            last,
            recorded_at,
            bytes,
        }
    }
}

impl<A: EventSourced> Current<A> {
    /// Folds the events that the store has beyond this state. Returns whether there were any. If the log was restored to an earlier
    /// point, so that it has not the last event that was folded, all is folded that it has instead.
    ///
    /// Boxed, so that a command that needs it not has no room for it in its future.
    pub(super) fn catch_up<'a>(
        &'a mut self,
        runtime: &'a Runtime,
        stream: &'a StreamId,
    ) -> BoxFuture<'a, Result<bool, LoadError>> {
        Box::pin(async move {
            if self.version == Version::ZERO {
                *self = runtime.fold(stream, Until::Now).await?;
                return Ok(self.version > Version::ZERO);
            }
            let (store, before) = (&*runtime.0.store, self.version);
            let mut events = store.load_stream(ReadStream::new(stream.clone()).from(before));
            let last = events.try_next().await?.map(|event| event.id);
            if last != self.last {
                *self = runtime.fold(stream, Until::Now).await?;
                return Ok(true);
            }
            while let Some(event) = events.try_next().await? {
                self.fold(stream, &event)?;
            }
            metrics::loaded(A::NAME, self.version.0 - before.0);
            Ok(self.version > before)
        })
    }

    /// Folds the next event of the stream.
    pub(super) fn fold(&mut self, stream: &StreamId, event: &StoredEvent) -> Result<(), LoadError> {
        match self.decode(stream, event)? {
            Decoded::One(decoded) => self.apply(stream, event, decoded)?,
            other => other
                .into_iter()
                .try_for_each(|decoded| self.apply(stream, event, decoded))?,
        }
        self.passed(event);
        Ok(())
    }

    /// Reads the next event of the stream.
    pub(super) fn decode(&self, stream: &StreamId, event: &StoredEvent) -> Result<Decoded<A::Event>, LoadError> {
        if event.version != self.version.next() {
            return Err(out_of_order(stream, event.version, self.version.next()).into());
        }
        decoded::<A>(stream, event)
    }

    /// Folds `decoded`, which was read from `event`. The state is of no version until the event has [passed](Self::passed).
    pub(super) fn apply(&mut self, stream: &StreamId, event: &StoredEvent, decoded: A::Event) -> Result<(), LoadError> {
        decoded
            .apply(&mut self.state)
            .map_err(|misapplied| unreadable(stream, event, misapplied))
    }

    /// Records that everything that `event` was read as has been folded.
    pub(super) fn passed(&mut self, event: &StoredEvent) {
        self.version = event.version;
        self.position = event.position;
        self.last = Some(event.id);
        self.recorded_at = event.recorded_at;
        self.bytes += event.payload.len();
    }
}

/// Reads an event of the stream.
pub(super) fn decoded<A: EventSourced>(stream: &StreamId, event: &StoredEvent) -> Result<Decoded<A::Event>, LoadError> {
    let unknown = |readable| {
        UnknownEvent {
            stream: stream.clone(),
            version: event.version,
            position: event.position,
            name: event.name.clone(),
            shape_version: event.shape_version,
            readable,
        }
        .into()
    };
    A::Event::decode(&event.name, event.shape_version, &event.payload).map_err(|error| match error {
        DecodeError::UnknownName => unknown(None),
        DecodeError::UnknownVersion { oldest, newest } => unknown(Some(oldest..=newest)),
        error @ (DecodeError::Malformed(_) | DecodeError::Upcast { .. }) => unreadable(stream, event, error),
    })
}

pub(super) fn unreadable(
    stream: &StreamId,
    event: &StoredEvent,
    source: impl std::error::Error + Send + Sync + 'static,
) -> LoadError {
    UnreadableEvent {
        stream: stream.clone(),
        version: event.version,
        position: event.position,
        name: event.name.clone(),
        source: Box::new(source),
    }
    .into()
}

fn out_of_order(stream: &StreamId, version: Version, expected: Version) -> StoreError {
    StoreError::new(
        StoreErrorKind::Corrupt,
        format!("the store returned version {version} of stream `{stream}` where {expected} comes next"),
    )
}
