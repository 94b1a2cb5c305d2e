use std::fmt;
use std::ops::Deref;

use futures_util::TryStreamExt as _;
use tracing::Instrument as _;

use super::state::Current;
use super::{Runtime, Start, Started};
use crate::store::ReadStream;
use crate::{EventSourced, EventStore, LoadError, Position, StoredEvent, StreamId, Timestamp, Version, metrics};

/// The state of an aggregate instance at a version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded<A> {
    /// The state.
    pub state: A,
    /// The version of the last event in it.
    pub version: Version,
    /// The position of the last event in it.
    pub position: Position,
}

impl<A> Deref for Loaded<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.state
    }
}

/// Up to where events are folded.
#[derive(Debug, Clone, Copy)]
pub(super) enum Until {
    Now,
    Version(Version),
    Time(Timestamp),
    Position(Position),
}

impl Until {
    /// The highest version to read.
    pub(super) fn version(self) -> Version {
        match self {
            Self::Version(version) => version,
            Self::Now | Self::Time(_) | Self::Position(_) => Version::MAX,
        }
    }

    /// Returns whether an event is folded, among those up to the highest version.
    pub(super) fn admits(self, recorded_at: Timestamp, position: Position) -> bool {
        match self {
            Self::Now | Self::Version(_) => true,
            Self::Time(time) => recorded_at <= time,
            Self::Position(until) => position <= until,
        }
    }
}

/// Loads an aggregate: `runtime.load(id).await`, with options before the `await`.
///
/// [`at_version`](Self::at_version), [`as_of`](Self::as_of) and [`at_position`](Self::at_position) choose how much of
/// the log is read; the last one set counts. [`as_of_occurred`](Self::as_of_occurred) combines with it: of the events
/// known then, it keeps those that had happened by its time.
#[must_use = "nothing is loaded until it is awaited"]
pub struct Load<'a, A> {
    runtime: &'a Runtime,
    stream: StreamId,
    until: Until,
    occurred: Option<Timestamp>,
    start: Start<'a, Self, Result<Option<Loaded<A>>, LoadError>>,
}

impl<'a, A: EventSourced> Load<'a, A> {
    pub(super) fn new(runtime: &'a Runtime, stream: StreamId) -> Self {
        Self {
            runtime,
            stream,
            until: Until::Now,
            occurred: None,
            start: |this| Box::pin(this.run()),
        }
    }

    async fn run(self) -> Result<Option<Loaded<A>>, LoadError> {
        let Current {
            state,
            version,
            position,
            ..
        } = self.current().await?;
        Ok(state.map(|state| Loaded {
            state,
            version,
            position,
        }))
    }
}

impl<A> Load<'_, A> {
    /// Loads the state at this version, or the current state if that version does not exist yet.
    pub fn at_version(mut self, version: impl Into<Version>) -> Self {
        self.until = Until::Version(version.into());
        self
    }

    /// Loads the state at this time: with the events recorded up to and including it.
    pub fn as_of(mut self, time: Timestamp) -> Self {
        self.until = Until::Time(time);
        self
    }

    /// Loads the state at this time by the times at which its events [happened](crate::Recorded::occurred_at): folds,
    /// in the order of the stream, the events that had happened up to and including it, even if they were recorded
    /// later.
    ///
    /// Reads the whole stream, because an event of any version may have happened before. If the event that creates the
    /// aggregate happened later than one that changes it, the latter cannot be folded for the times between:
    /// [`UnreadableEvent`](LoadError::UnreadableEvent) names it.
    pub fn as_of_occurred(mut self, time: Timestamp) -> Self {
        self.occurred = Some(time);
        self
    }

    /// Loads the state when the store's head was at this position.
    pub fn at_position(mut self, position: impl Into<Position>) -> Self {
        self.until = Until::Position(position.into());
        self
    }
}

impl<A: EventSourced> Load<'_, A> {
    pub(super) async fn current(self) -> Result<Current<A>, LoadError> {
        let span = tracing::debug_span!("es.load", category = self.stream.category(), id = self.stream.id());
        async move {
            match self.occurred {
                None => self.runtime.fold(&self.stream, self.until).await,
                Some(time) => self.fold_occurred(time).await,
            }
        }
        .instrument(span)
        .await
    }

    /// Folds the events that had happened by then, and passes over the others.
    async fn fold_occurred(&self, time: Timestamp) -> Result<Current<A>, LoadError> {
        let mut current = Current::default();
        let (mut last, mut read) = ((Version::ZERO, Position::ZERO), 0);
        let query = ReadStream::new(self.stream.clone()).to(self.until.version());
        let mut events = self.runtime.0.store.read_stream(query);
        while let Some(event) = events.try_next().await? {
            let occurred_at = event.occurred_at();
            let event = StoredEvent::from(event);
            if !self.until.admits(event.recorded_at, event.position) {
                break;
            }
            read += 1;
            if occurred_at <= time {
                current.fold(&self.stream, &event)?;
                last = (event.version, event.position);
            } else {
                current.passed(&event);
            }
        }
        metrics::loaded(A::NAME, read);
        (current.version, current.position) = last;
        Ok(current)
    }
}

impl<'a, A> IntoFuture for Load<'a, A> {
    type Output = Result<Option<Loaded<A>>, LoadError>;
    type IntoFuture = Started<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        (self.start)(self)
    }
}

impl<A> fmt::Debug for Load<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load")
            .field("stream", &self.stream)
            .field("until", &self.until)
            .field("occurred", &self.occurred)
            .finish_non_exhaustive()
    }
}
