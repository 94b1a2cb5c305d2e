//! Process managers whose type is known by its name only.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, stream};

use super::plan::Registered;
use super::{
    Cause, Instance, InstanceStatus, PendingCommand, ProcessError, ProcessManager, ProcessState, SetTimer, Step,
};
use crate::runtime::{Results, Runtime};
use crate::{Timestamp, Version};

/// A process manager whose type need not be known, to look at its instances and to operate them:
/// [`Runtime::process_managers`].
#[derive(Clone, Copy)]
pub struct AnyProcessManager<'a> {
    runtime: &'a Runtime,
    of: &'a Registered,
}

/// An instance of a process manager as people and programs see it that do not know its type.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AnyProcess {
    /// Its id, as text.
    pub id: String,
    /// The JSON of its state; `None` if it has ended.
    pub state: Option<Bytes>,
    /// The status.
    pub status: InstanceStatus,
    /// The number of its last step.
    pub version: Version,
    /// The time at which that was recorded.
    pub since: Timestamp,
    /// The commands that are not answered, in the order in which they are executed.
    pub pending: Vec<PendingCommand>,
    /// The timers that are set.
    pub timers: Vec<SetTimer>,
}

/// A step of an instance, as people and programs see it that do not know its type.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AnyProcessStep {
    /// Its number.
    pub version: Version,
    /// The time at which it was recorded.
    pub recorded_at: Timestamp,
    /// The event, answer or timer that it reacts to, or the operator.
    pub cause: Cause,
    /// The JSON of the state after it; `None` if the instance has ended.
    pub state: Option<Bytes>,
}

impl<'a> AnyProcessManager<'a> {
    pub(crate) fn new(runtime: &'a Runtime, of: &'a Registered) -> Self {
        Self { runtime, of }
    }

    /// Returns its name.
    pub fn name(&self) -> &'static str {
        self.of.name
    }

    /// Lists the instances that run, the one whose last step is oldest first.
    pub async fn list(&self) -> Result<Vec<AnyProcess>, ProcessError> {
        self.of.any.list(self.runtime).await
    }

    /// Returns the instance; `None` if there never was one, or the text is not an id of this process manager.
    pub async fn get(&self, id: &str) -> Result<Option<AnyProcess>, ProcessError> {
        self.of.any.get(self.runtime, id).await
    }

    /// Returns each step of the instance, from the first on.
    pub fn history(&self, id: &str) -> Results<'a, AnyProcessStep, ProcessError> {
        Results::new(self.of.any.history(self.runtime, id))
    }

    /// Has a parked instance try again what it stopped at, as [`ProcessManagerHandle::retry`](super::ProcessManagerHandle::retry)
    /// does.
    pub async fn retry(&self, id: &str) -> Result<(), ProcessError> {
        self.of.any.retry(self.runtime, id).await
    }

    /// Ends the instance, as [`ProcessManagerHandle::end`](super::ProcessManagerHandle::end) does.
    pub async fn end(&self, id: &str, reason: impl Into<String>) -> Result<(), ProcessError> {
        self.of.any.end(self.runtime, id, reason.into()).await
    }
}

/// The abilities of a process manager, without its type.
pub(crate) trait Erased: Send + Sync {
    fn list<'a>(&self, runtime: &'a Runtime) -> Answer<'a, Vec<AnyProcess>>;
    fn get<'a>(&self, runtime: &'a Runtime, id: &str) -> Answer<'a, Option<AnyProcess>>;
    fn history<'a>(&self, runtime: &'a Runtime, id: &str) -> BoxStream<'a, Result<AnyProcessStep, ProcessError>>;
    fn retry<'a>(&self, runtime: &'a Runtime, id: &str) -> Answer<'a, ()>;
    fn end<'a>(&self, runtime: &'a Runtime, id: &str, reason: String) -> Answer<'a, ()>;
}

type Answer<'a, T> = BoxFuture<'a, Result<T, ProcessError>>;

/// Process manager `P` as one that is [`Erased`].
pub(crate) struct Of<P>(PhantomData<fn() -> P>);

impl<P: ProcessManager> Of<P> {
    pub(crate) const fn erased() -> &'static dyn Erased {
        const { &Self(PhantomData) }
    }

    fn id(text: &str) -> Result<P::Id, ProcessError> {
        text.parse().map_err(|_| ProcessError::NotFound {
            process: P::NAME,
            id: text.to_owned(),
        })
    }

    fn instance(instance: Instance<P>) -> Result<AnyProcess, ProcessError> {
        let id = instance.id.to_string();
        Ok(AnyProcess {
            state: json(&id, instance.state)?,
            id,
            status: instance.status,
            version: instance.version,
            since: instance.since,
            pending: instance.pending,
            timers: instance.timers,
        })
    }
}

impl<P: ProcessManager> Erased for Of<P> {
    fn list<'a>(&self, runtime: &'a Runtime) -> Answer<'a, Vec<AnyProcess>> {
        Box::pin(async move {
            let instances = runtime.process_manager::<P>().list().await?;
            instances.into_iter().map(Self::instance).collect()
        })
    }

    fn get<'a>(&self, runtime: &'a Runtime, id: &str) -> Answer<'a, Option<AnyProcess>> {
        let id = Self::id(id);
        Box::pin(async move {
            let Ok(id) = id else { return Ok(None) };
            let instance = runtime.process_manager::<P>().get(id).await?;
            instance.map(Self::instance).transpose()
        })
    }

    fn history<'a>(&self, runtime: &'a Runtime, id: &str) -> BoxStream<'a, Result<AnyProcessStep, ProcessError>> {
        let text = id.to_owned();
        let id = match Self::id(id) {
            Ok(id) => id,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let steps = runtime.process_manager::<P>().history(id);
        let any = move |step: Result<Step<P>, ProcessError>| {
            let step = step?;
            Ok(AnyProcessStep {
                version: step.version,
                recorded_at: step.recorded_at,
                cause: step.cause,
                state: json(&text, step.state)?,
            })
        };
        steps.map(any).boxed()
    }

    fn retry<'a>(&self, runtime: &'a Runtime, id: &str) -> Answer<'a, ()> {
        let id = Self::id(id);
        Box::pin(async move { runtime.process_manager::<P>().retry(id?).await })
    }

    fn end<'a>(&self, runtime: &'a Runtime, id: &str, reason: String) -> Answer<'a, ()> {
        let id = Self::id(id);
        Box::pin(async move { runtime.process_manager::<P>().end(id?, reason).await })
    }
}

/// The JSON of a state.
fn json<P: ProcessState>(id: &str, state: Option<P>) -> Result<Option<Bytes>, ProcessError> {
    let encoded = state.map(|state| {
        let mut json = Vec::new();
        state.encode(&mut json).map(|()| Bytes::from(json))
    });
    encoded.transpose().map_err(|error| ProcessError::Unreadable {
        process: P::NAME,
        id: id.to_owned(),
        reason: error.to_string(),
    })
}

impl fmt::Debug for AnyProcessManager<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyProcessManager").field(&self.name()).finish()
    }
}
