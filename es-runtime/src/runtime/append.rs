use std::fmt;
use std::pin::Pin;

use tracing::Instrument as _;

use super::request::{Request, request_setters};
use super::write::Write;
use super::{Receipt, Runtime};
use crate::outcome::{IntoEvents, collect};
use crate::{Context, EncodeError, EventEnum as _, EventSourced, ExecuteError, StreamId, Timestamp, Version};

/// Appends events without a command: `runtime.append(id, events).await`, with options before the `await`. Add events
/// that happened at different times with [`at`](Self::at).
///
/// The events must fold onto the state at the time of the append; no handler of the aggregate is called.
///
/// # Cancel safety
///
/// Dropping the future leaves the events stored as a whole or not at all.
#[must_use = "nothing is appended until it is awaited"]
pub struct AppendEvents<'a, A: EventSourced> {
    runtime: &'a Runtime,
    stream: StreamId,
    events: Vec<A::Event>,
    /// The times of the events that have one of their own, by their index. May be shorter than the events.
    times: Vec<Option<Timestamp>>,
    expected: Option<Version>,
    request: Request,
}

impl<'a, A: EventSourced> AppendEvents<'a, A> {
    pub(super) fn new(runtime: &'a Runtime, stream: StreamId, events: impl IntoEvents<A>) -> Self {
        Self {
            runtime,
            stream,
            events: collect::<A, _>(events),
            times: Vec::new(),
            expected: None,
            request: Request::default(),
        }
    }

    /// Adds events after the previous ones, and records `time` as the time at which they happened.
    ///
    /// ```
    /// # use es_runtime::prelude::*;
    /// # #[event] pub struct Opened { pub owner: String }
    /// # #[event] pub struct Deposited { pub amount: i64 }
    /// # #[command] pub struct Open { pub owner: String }
    /// # #[derive(Aggregate)] pub struct Account { balance: i64 }
    /// # #[aggregate] impl Account {
    /// #     #[handle] fn open(cmd: Open) -> Opened { Opened { owner: cmd.owner } }
    /// #     #[apply] fn opened(_: Opened) -> Self { Account { balance: 0 } }
    /// #     #[apply] fn deposited(&mut self, event: Deposited) { self.balance += event.amount; }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// # let runtime = Runtime::builder(MemoryStore::new()).start().await?;
    /// # let alice = Id::<Account>::new();
    /// runtime
    ///     .append(alice, ())
    ///     .at("2024-03-01T09:00:00Z".parse()?, Opened { owner: "Alice".into() })
    ///     .at("2024-03-04T12:30:00Z".parse()?, Deposited { amount: 100 })
    ///     .await?;
    /// let then = runtime.load(alice).as_of_occurred("2024-03-02T00:00:00Z".parse()?).await?;
    /// assert_eq!(then.unwrap().balance, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn at(mut self, time: Timestamp, events: impl IntoEvents<A>) -> Self {
        self.times.resize(self.events.len(), None);
        events.into_events(&mut self.events);
        self.times.resize(self.events.len(), Some(time));
        self
    }

    /// Appends only to this version, 0 for a new aggregate: at any other version, fails with
    /// [`Conflict`](ExecuteError::Conflict).
    pub fn expect_version(mut self, version: impl Into<Version>) -> Self {
        self.expected = Some(version.into());
        self
    }

    request_setters!();

    /// Checks that each event has a stored form, as [`content`](Self::content) does too.
    fn check_stored_form(&self) -> Result<(), EncodeError> {
        let mut json = Vec::new();
        self.events.iter().try_for_each(|event| {
            json.clear();
            event.encode(&mut json)
        })
    }

    /// The names and payloads, and the times that events have of their own: what a repeated request has in common with
    /// the first.
    fn content(&self) -> Result<Vec<u8>, EncodeError> {
        let mut content = format!("append {} ", self.stream).into_bytes();
        let mut json = Vec::new();
        let mut times = self.times.iter();
        for event in &self.events {
            json.clear();
            event.encode(&mut json)?;
            content.extend_from_slice(event.info().name.as_bytes());
            crate::json::sort_fields(&json, &mut content);
            if let Some(Some(time)) = times.next() {
                content.extend_from_slice(time.to_string().as_bytes());
            }
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
            let key = self.request.key(|| self.content())?;
            if key.is_none() {
                self.check_stored_form()?;
            }
            let Self {
                runtime,
                stream,
                events,
                times,
                expected,
                request,
            } = self;
            let events = move |_: Option<&A>, _: &Context| Ok(events.clone());
            let write = Write::new(stream, expected, request.metadata, events)
                .keyed(key)
                .timed(times);
            let receipt = write.run::<A>(runtime).await;
            receipt.map_err(|error| error.map_refused(|_| unreachable!("no handler is asked, so none refuses")))
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
