//! Aggregates whose type is known by its name only.

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use uuid::Uuid;

use super::request::{Request, request_setters};
use super::state::{Current, decoded};
use super::{AggregateInfo, DryRun, Execute, Load, Loaded, Receipt, Results, Runtime};
use crate::store::ReadStream;
use crate::{
    AnyRefusal, CommandEnum, Commanded, EncodeError, EventEnum, ExecuteError, Id, Invalid, LoadError, Position,
    RecordedEvent, StoredEvent, StreamId, Timestamp, Version,
};

/// An aggregate whose type need not be known: [`Runtime::any`].
///
/// ```
/// # use es_runtime::{prelude::*, runtime::AnyRequest};
/// # #[event] pub struct Opened { pub owner: String }
/// # #[command] pub struct Open { pub owner: String }
/// # #[derive(Debug, Aggregate)] pub struct Account { owner: String }
/// # #[aggregate] impl Account {
/// #     #[handle] fn open(cmd: Open) -> Opened { Opened { owner: cmd.owner } }
/// #     #[apply] fn opened(event: Opened) -> Self { Account { owner: event.owner } }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let store = MemoryStore::new();
/// let runtime = Runtime::builder(store).aggregate::<Account>().start().await?;
/// let account = runtime.any("account").expect("it was registered");
/// let alice = account.instance("01940b6e-5f3c-7000-8000-000000000000")?;
/// let open = br#"{"owner": "Alice"}"#;
/// alice.execute("open", open, AnyRequest::new()).await?;
/// let state = alice.state(Default::default()).await?.expect("it was opened");
/// assert!(state.state.text.contains("Alice"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct AnyAggregate<'a> {
    runtime: &'a Runtime,
    of: &'static dyn Erased,
}

impl<'a> AnyAggregate<'a> {
    pub(super) fn new(runtime: &'a Runtime, of: &'static dyn Erased) -> Self {
        Self { runtime, of }
    }

    /// Returns its names.
    pub fn info(&self) -> AggregateInfo {
        self.of.info()
    }

    /// Returns the instance with this id, whether it exists or not.
    ///
    /// # Errors
    ///
    /// If the text is not an id of this aggregate.
    pub fn instance(&self, id: &str) -> Result<AnyInstance<'a>, Invalid> {
        Ok(self.of_stream(self.of.stream(id)?))
    }

    /// Returns the instance with this UUID. `None` if the ids of the aggregate are natural keys and not [`Id`].
    pub fn instance_of(&self, uuid: Uuid) -> Option<AnyInstance<'a>> {
        self.of.stream_of(uuid).map(|stream| self.of_stream(stream))
    }

    /// Reads a stored event of the aggregate: what it is read as today, which is one event, as a rule.
    ///
    /// # Errors
    ///
    /// If this build cannot read it.
    pub fn read(&self, event: &RecordedEvent) -> Result<Vec<AnyEvent>, LoadError> {
        self.of.read(event)
    }

    fn of_stream(&self, stream: StreamId) -> AnyInstance<'a> {
        AnyInstance {
            runtime: self.runtime,
            of: self.of,
            stream,
        }
    }
}

/// An instance of an aggregate whose type need not be known.
#[derive(Clone)]
pub struct AnyInstance<'a> {
    runtime: &'a Runtime,
    of: &'static dyn Erased,
    stream: StreamId,
}

impl<'a> AnyInstance<'a> {
    /// Returns its stream.
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// Executes the command of this name, whose content is `json`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ExecuteError::Invalid), of field `command`, if there is no such command, and of the field that has the command's
    /// name if `json` is not of its shape; besides those of [`Runtime::execute`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the events stored as a whole or not at all.
    pub async fn execute(
        &self,
        command: &str,
        json: &[u8],
        request: AnyRequest,
    ) -> Result<Receipt, ExecuteError<AnyRefusal>> {
        let stream = self.stream.clone();
        self.of.execute(self.runtime, stream, command, json, request)?.await
    }

    /// Returns whether `json` is a content of the command of this name.
    pub fn takes(&self, command: &str, json: &[u8]) -> bool {
        self.of.takes(command, json)
    }

    /// Decides the command as [`execute`](Self::execute) would, and stores nothing. Returns the events.
    pub async fn dry_run(&self, command: &str, json: &[u8], at: At) -> Result<Vec<AnyEvent>, ExecuteError<AnyRefusal>> {
        let stream = self.stream.clone();
        self.of.dry_run(self.runtime, stream, command, json, at)?.await
    }

    /// Loads the state. `None` if there was no event then.
    pub async fn state(&self, at: At) -> Result<Option<Loaded<AnyState>>, LoadError> {
        self.of.state(self.runtime, self.stream.clone(), at).await
    }

    /// Returns each event from this version on, with the state after it. Folds all events before it, too.
    pub fn history(&self, from: impl Into<Version>) -> Results<'a, AnyStep, LoadError> {
        Results::new(self.of.history(self.runtime, self.stream.clone(), from.into()))
    }
}

/// The options of a request, for [`AnyInstance::execute`].
#[derive(Debug, Default)]
#[must_use = "a request does nothing by itself"]
pub struct AnyRequest {
    pub(super) expected: Option<Version>,
    pub(super) request: Request,
}

impl AnyRequest {
    /// Returns a request without options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides only on this version, 0 for a new aggregate: at any other version, fails with
    /// [`Conflict`](ExecuteError::Conflict), without a retry.
    pub fn expect_version(mut self, version: impl Into<Version>) -> Self {
        self.expected = Some(version.into());
        self
    }

    request_setters!();
}

/// The point in time to which a state is folded: now, unless said otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum At {
    /// With all events.
    #[default]
    Now,
    /// With the events up to this version.
    Version(Version),
    /// With the events that were recorded up to this time.
    Time(Timestamp),
    /// With the events up to this position of the log.
    Position(Position),
}

/// A state as people and programs see it that do not know its type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnyState {
    /// Its `{:#?}`; the name of its type if that has no `Debug`.
    pub text: String,
    /// Its JSON; `None` if its type has no `Serialize`, or JSON cannot hold a value in it.
    pub json: Option<Bytes>,
}

/// An event in the shape of today.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnyEvent {
    /// Its name.
    pub name: &'static str,
    /// The version of its shape.
    pub shape_version: u32,
    /// The event itself.
    pub json: Bytes,
}

impl AnyEvent {
    fn of<A: Commanded>(event: &A::Event) -> Result<Self, EncodeError> {
        let mut json = Vec::new();
        event.encode(&mut json)?;
        let info = event.info();
        Ok(Self {
            name: info.name,
            shape_version: info.shape_version,
            json: json.into(),
        })
    }
}

/// A stored event with the state after it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AnyStep {
    /// The event as it is stored.
    pub stored: RecordedEvent,
    /// The events that it is read as today: one, as a rule.
    pub events: Vec<AnyEvent>,
    /// The state after it; `None` if no event has created it yet.
    pub state: Option<AnyState>,
}

/// The abilities of an aggregate, without its type.
pub(super) trait Erased: Send + Sync {
    fn info(&self) -> AggregateInfo;
    fn stream(&self, id: &str) -> Result<StreamId, Invalid>;
    fn stream_of(&self, uuid: Uuid) -> Option<StreamId>;
    fn read(&self, event: &RecordedEvent) -> Result<Vec<AnyEvent>, LoadError>;
    fn takes(&self, command: &str, json: &[u8]) -> bool;
    fn execute<'a>(
        &self,
        runtime: &'a Runtime,
        stream: StreamId,
        command: &str,
        json: &[u8],
        request: AnyRequest,
    ) -> Result<Answer<'a, Receipt>, Invalid>;
    fn dry_run<'a>(
        &self,
        runtime: &'a Runtime,
        stream: StreamId,
        command: &str,
        json: &[u8],
        at: At,
    ) -> Result<Answer<'a, Vec<AnyEvent>>, Invalid>;
    fn state<'a>(
        &self,
        runtime: &'a Runtime,
        stream: StreamId,
        at: At,
    ) -> BoxFuture<'a, Result<Option<Loaded<AnyState>>, LoadError>>;
    fn history<'a>(
        &self,
        runtime: &'a Runtime,
        stream: StreamId,
        from: Version,
    ) -> BoxStream<'a, Result<AnyStep, LoadError>>;
}

type Answer<'a, T> = BoxFuture<'a, Result<T, ExecuteError<AnyRefusal>>>;

/// Aggregate `A` as one that is [`Erased`].
pub(super) struct Of<A>(PhantomData<fn() -> A>);

impl<A: Commanded> Of<A> {
    pub(super) const fn erased() -> &'static dyn Erased {
        const { &Self(PhantomData) }
    }

    fn command(name: &str, json: &[u8]) -> Result<A::Command, Invalid> {
        if !A::Command::COMMANDS.contains(&name) {
            let known = A::Command::COMMANDS.join("`, `");
            let reason = format!(
                "{} is not a command of `{}`, which knows `{known}`",
                quoted(name),
                A::NAME
            );
            return Err(Invalid::new("command", reason));
        }
        A::Command::decode(name, json).map_err(|error| Invalid::new(name.to_owned(), error.to_string()))
    }
}

impl<A: Commanded> Erased for Of<A> {
    fn info(&self) -> AggregateInfo {
        AggregateInfo::of::<A>()
    }

    fn stream(&self, id: &str) -> Result<StreamId, Invalid> {
        // By way of the type, so that two texts of one id name one stream.
        let parsed: Result<A::Id, _> = id.parse();
        let bad = |_| {
            Invalid::new(
                "id",
                format!("{} is not the id of an aggregate `{}`", quoted(id), A::NAME),
            )
        };
        parsed.map(|id| StreamId::new(A::NAME, id.to_string())).map_err(bad)
    }

    fn stream_of(&self, uuid: Uuid) -> Option<StreamId> {
        let has_uuid = TypeId::of::<A::Id>() == TypeId::of::<Id<A>>();
        has_uuid.then(|| StreamId::new(A::NAME, Id::<A>::from_uuid(uuid).to_string()))
    }

    fn read(&self, event: &RecordedEvent) -> Result<Vec<AnyEvent>, LoadError> {
        let lean = StoredEvent::from(event.clone());
        events::<A>(&event.stream, &lean, decoded::<A>(&event.stream, &lean)?.into_iter())
    }

    fn takes(&self, command: &str, json: &[u8]) -> bool {
        Self::command(command, json).is_ok()
    }

    fn execute<'a>(
        &self,
        runtime: &'a Runtime,
        stream: StreamId,
        command: &str,
        json: &[u8],
        request: AnyRequest,
    ) -> Result<Answer<'a, Receipt>, Invalid> {
        let command = Self::command(command, json)?;
        let execute = Execute::<A, _, _>::new(runtime, stream, command).with(request);
        Ok(execute.into_future())
    }

    fn dry_run<'a>(
        &self,
        runtime: &'a Runtime,
        stream: StreamId,
        command: &str,
        json: &[u8],
        at: At,
    ) -> Result<Answer<'a, Vec<AnyEvent>>, Invalid> {
        let command = Self::command(command, json)?;
        let dry_run = DryRun::<A, _, _>::new(runtime, stream, command);
        let dry_run = match at {
            At::Now => dry_run,
            At::Version(version) => dry_run.at_version(version),
            At::Time(time) => dry_run.as_of(time),
            At::Position(position) => dry_run.at_position(position),
        };
        Ok(Box::pin(async move {
            let events = dry_run.await?;
            let encoded: Result<_, EncodeError> = events.iter().map(AnyEvent::of::<A>).collect();
            Ok(encoded?)
        }))
    }

    fn state<'a>(
        &self,
        runtime: &'a Runtime,
        stream: StreamId,
        at: At,
    ) -> BoxFuture<'a, Result<Option<Loaded<AnyState>>, LoadError>> {
        let load = Load::<A>::new(runtime, stream);
        let load = match at {
            At::Now => load,
            At::Version(version) => load.at_version(version),
            At::Time(time) => load.as_of(time),
            At::Position(position) => load.at_position(position),
        };
        Box::pin(async move {
            let loaded = load.await?;
            Ok(loaded.map(|loaded| Loaded {
                state: loaded.state.show(),
                version: loaded.version,
                position: loaded.position,
            }))
        })
    }

    fn history<'a>(
        &self,
        runtime: &'a Runtime,
        stream: StreamId,
        from: Version,
    ) -> BoxStream<'a, Result<AnyStep, LoadError>> {
        let events = runtime.0.store.read_stream(ReadStream::new(stream));
        // The state is given up at the first error, which ends the stream.
        let steps = stream::unfold(Some((events, Current::<A>::default())), move |step| async move {
            let (mut events, mut current) = step?;
            loop {
                let stored = events.next().await?.map_err(LoadError::from);
                match stored.and_then(|stored| advance(&mut current, stored, from)) {
                    Ok(None) => {}
                    Ok(Some(step)) => return Some((Ok(step), Some((events, current)))),
                    Err(error) => return Some((Err(error), None)),
                }
            }
        });
        steps.boxed()
    }
}

/// The beginning of a text that a stranger sent.
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(100).collect::<String>())
}

/// Folds the event. Returns nothing before version `from`.
fn advance<A: Commanded>(
    current: &mut Current<A>,
    stored: RecordedEvent,
    from: Version,
) -> Result<Option<AnyStep>, LoadError> {
    let lean = StoredEvent::from(stored.clone());
    if lean.version < from {
        current.fold(&stored.stream, &lean)?;
        return Ok(None);
    }
    let events = events::<A>(
        &stored.stream,
        &lean,
        current.decode(&stored.stream, &lean)?.into_iter(),
    )?;
    current.fold(&stored.stream, &lean)?;
    let state = (*current.state).as_ref().map(Commanded::show);
    Ok(Some(AnyStep { stored, events, state }))
}

/// The events that `stored` was read as, in the shapes of today.
fn events<A: Commanded>(
    stream: &StreamId,
    stored: &StoredEvent,
    events: impl Iterator<Item = A::Event>,
) -> Result<Vec<AnyEvent>, LoadError> {
    let events: Result<_, EncodeError> = events.map(|event| AnyEvent::of::<A>(&event)).collect();
    events.map_err(|error| super::state::unreadable(stream, stored, error))
}

impl Runtime {
    /// Returns the [registered](super::Builder::aggregate) aggregate whose streams are of this category.
    pub fn any(&self, category: &str) -> Option<AnyAggregate<'_>> {
        let registered = self.0.aggregates.iter().find(|known| known.category == category)?;
        Some(AnyAggregate::new(self, registered.any))
    }

    /// Returns aggregate `A` as one whose type need not be known, registered or not.
    pub fn any_of<A: Commanded>(&self) -> AnyAggregate<'_> {
        AnyAggregate::new(self, Of::<A>::erased())
    }
}

impl fmt::Debug for AnyAggregate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyAggregate").field(&self.info().name).finish()
    }
}

impl fmt::Debug for AnyInstance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyInstance").field(&self.stream).finish()
    }
}
