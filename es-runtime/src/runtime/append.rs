use std::fmt;
use std::pin::Pin;

use tracing::Instrument as _;

use super::request::{Request, request_setters};
use super::write::Write;
use super::{Receipt, Runtime};
use crate::outcome::{IntoEvents, collect};
use crate::{EncodeError, EventEnum as _, EventSourced, ExecuteError, StreamId, Version};

/// Appends events without a command: `runtime.append(id, events).await`, or first its options.
///
/// The events must fold onto the state as it is when they are appended; what the aggregate would have said of them is not
/// asked.
///
/// # Cancel safety
///
/// Dropping the future leaves the events stored as a whole or not at all.
#[must_use = "nothing is appended until it is awaited"]
pub struct AppendEvents<'a, A: EventSourced> {
    runtime: &'a Runtime,
    stream: StreamId,
    events: Vec<A::Event>,
    expected: Option<Version>,
    request: Request,
}

impl<'a, A: EventSourced> AppendEvents<'a, A> {
    pub(super) fn new(runtime: &'a Runtime, stream: StreamId, events: impl IntoEvents<A>) -> Self {
        Self {
            runtime,
            stream,
            events: collect::<A, _>(events),
            expected: None,
            request: Request::default(),
        }
    }

    /// Appends only to this version, 0 for a new aggregate: a stream at any other is a
    /// [`Conflict`](ExecuteError::Conflict).
    pub fn expect_version(mut self, version: impl Into<Version>) -> Self {
        self.expected = Some(version.into());
        self
    }

    request_setters!();

    /// The names and payloads: what a repeated request has in common with the first.
    fn content(&self) -> Result<Vec<u8>, EncodeError> {
        let mut content = format!("append {} ", self.stream).into_bytes();
        for event in &self.events {
            content.extend_from_slice(event.info().name.as_bytes());
            event.encode(&mut content)?;
        }
        Ok(content)
    }
}

impl<'a, A: EventSourced<Event: Clone>> IntoFuture for AppendEvents<'a, A> {
    type Output = Result<Receipt, ExecuteError<std::convert::Infallible>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(mut self) -> Self::IntoFuture {
        let span = tracing::info_span!("es.append", category = self.stream.category(), id = self.stream.id());
        let run = async move {
            self.request.check()?;
            // First, as the events are cloned for each attempt, and a clone of one that is too deep would exhaust the stack.
            let content = self.content()?;
            let key = self.request.key(|| Ok::<_, EncodeError>(content))?;
            let Self {
                runtime,
                stream,
                events,
                expected,
                request,
            } = self;
            let write = Write {
                runtime,
                stream,
                expected,
                key,
                metadata: request.metadata,
            };
            let receipt = write.run::<A>(&mut |_, _| Ok(events.clone())).await;
            receipt.map_err(|error| error.map_refused(|()| unreachable!("no handler is asked, so none refuses")))
        };
        Box::pin(run.instrument(span))
    }
}

impl<A: EventSourced> fmt::Debug for AppendEvents<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppendEvents")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
