use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;

use futures_util::TryStreamExt as _;
use tracing::Instrument as _;

use super::Runtime;
use super::state::Current;
use crate::store::ReadStream;
use crate::{EventSourced, LoadError, Position, StoredEvent, StreamId, Timestamp, Version, metrics};

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
enum Until {
    Now,
    Version(Version),
    Time(Timestamp),
    Position(Position),
}

impl Until {
    fn admits(self, event: &StoredEvent) -> bool {
        match self {
            Self::Now | Self::Version(_) => true,
            Self::Time(time) => event.recorded_at <= time,
            Self::Position(position) => event.position <= position,
        }
    }
}

/// Loads an aggregate: `runtime.load(id).await`, or first a point in time. The last one set counts.
#[must_use = "nothing is loaded until it is awaited"]
pub struct Load<'a, A> {
    runtime: &'a Runtime,
    stream: StreamId,
    until: Until,
    aggregate: PhantomData<fn() -> A>,
}

impl<'a, A: EventSourced> Load<'a, A> {
    pub(super) fn new(runtime: &'a Runtime, stream: StreamId) -> Self {
        Self {
            runtime,
            stream,
            until: Until::Now,
            aggregate: PhantomData,
        }
    }

    /// As it was at this version; as it is now if it has not got there.
    pub fn at_version(mut self, version: impl Into<Version>) -> Self {
        self.until = Until::Version(version.into());
        self
    }

    /// As it was at this time: with the events recorded up to and including it.
    pub fn as_of(mut self, time: Timestamp) -> Self {
        self.until = Until::Time(time);
        self
    }

    /// As it was when the store's head was at this position.
    pub fn at_position(mut self, position: impl Into<Position>) -> Self {
        self.until = Until::Position(position.into());
        self
    }

    pub(super) async fn current(self) -> Result<Current<A>, LoadError> {
        let span = tracing::debug_span!("es.load", category = self.stream.category(), id = self.stream.id());
        async move {
            let to = if let Until::Version(version) = self.until {
                version
            } else {
                Version::MAX
            };
            let mut current = Current::default();
            let query = ReadStream::new(self.stream.clone()).to(to);
            let mut events = self.runtime.0.store.load_stream(query);
            while let Some(event) = events.try_next().await? {
                if !self.until.admits(&event) {
                    break;
                }
                current.fold(&self.stream, &event)?;
            }
            metrics::loaded(A::NAME, current.version.0);
            Ok(current)
        }
        .instrument(span)
        .await
    }
}

impl<'a, A: EventSourced> IntoFuture for Load<'a, A> {
    type Output = Result<Option<Loaded<A>>, LoadError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Current {
                state,
                version,
                position,
            } = self.current().await?;
            Ok(state.map(|state| Loaded {
                state,
                version,
                position,
            }))
        })
    }
}

impl<A> fmt::Debug for Load<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load")
            .field("stream", &self.stream)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}
