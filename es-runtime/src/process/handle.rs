use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::engine::{append, load};
use super::index::Index;
use super::instance::{Instance, InstanceStatus, PendingCommand, ProcessError, SetTimer, Step};
use super::step::{Last, UnreadableStep};
use super::{ProcessManager, ProcessState, Reactions};
use crate::consumer::{ControlError, all_parked};
use crate::error::chain;
use crate::runtime::{Results, Runtime};
use crate::store::{Parked, ReadStream};
use crate::subscription::{Halt, Kind, SubscriptionHandle};
use crate::{StoreError, StoreErrorKind, Stored, StreamId, Timestamp, Version};

/// A handle to look at the instances of a process manager, and to operate them:
/// [`Runtime::process_manager`](crate::Runtime::process_manager). Its status is in
/// [`Runtime::health`](crate::Runtime::health).
pub struct ProcessManagerHandle<'a, P: ProcessManager> {
    runtime: &'a Runtime,
    reactions: Arc<Reactions<P>>,
    /// `None` if the runtime does not run it: it was only [opened](crate::Builder::open), or has been shut down.
    subscription: Option<SubscriptionHandle>,
}

impl<'a, P: ProcessManager> ProcessManagerHandle<'a, P> {
    pub(crate) fn new(
        runtime: &'a Runtime,
        reactions: Arc<Reactions<P>>,
        subscription: Option<SubscriptionHandle>,
    ) -> Self {
        Self {
            runtime,
            reactions,
            subscription,
        }
    }

    /// Returns the instance; `None` if there never was one.
    pub async fn get(&self, id: P::Id) -> Result<Option<Instance<P>>, ProcessError> {
        let last = self.load(&id.to_string()).await?;
        if last.version == Version::ZERO {
            return Ok(None);
        }
        let parked = self.parked().await?;
        Self::instance(last, &parked).map(Some)
    }

    /// Returns each step of the instance, from the first on.
    pub fn history(&self, id: P::Id) -> Results<'a, Step<P>, ProcessError> {
        let steps = self
            .runtime
            .store()
            .read_stream(ReadStream::new(stream_of::<P>(&id.to_string())));
        Results::new(steps.map(|step| {
            let step = step?;
            let last = Last::<P>::read(&step).map_err(|error| unreadable::<P>(step.stream.id(), &error))?;
            let cause = last.cause.unwrap_or_else(|| unreachable!("each step has a cause"));
            Ok(Step {
                version: step.version,
                recorded_at: step.recorded_at,
                cause,
                state: last.state,
            })
        }))
    }

    /// Lists the instances that run. Await the result, or say which.
    ///
    /// The list is kept along with the steps, a moment behind them; each instance is then read.
    pub fn list(&self) -> ListInstances<'_, 'a, P> {
        ListInstances {
            handle: self,
            stuck_for: None,
        }
    }

    /// Has a parked instance try again what it stopped at, and then what waits behind that.
    ///
    /// # Errors
    ///
    /// [`NotParked`](ProcessError::NotParked) if it is not parked; [`Order`](ProcessError::Order) if it fails again, or if another
    /// process runs the process manager.
    pub async fn retry(&self, id: P::Id) -> Result<(), ProcessError> {
        let id = id.to_string();
        let parked = self.parked().await?;
        let Some((_, first)) = parked.into_iter().find(|(key, _)| *key == id) else {
            let process = P::NAME;
            return Err(match self.load(&id).await?.state {
                Some(_) => ProcessError::NotParked { process, id },
                None => ProcessError::NotFound { process, id },
            });
        };
        Ok(self.subscription()?.retry(first.position).await?)
    }

    /// Ends the instance, whatever it waits for: its timers and the commands that are not executed are given up, and what it has parked
    /// is skipped, also if it could not begin. The reason is stored with its last step.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ProcessError::NotFound) if it does not run, and has parked nothing; [`Order`](ProcessError::Order) if another process
    /// runs the process manager, so that what is parked is not skipped: the instance has ended then, and the same again skips it.
    pub async fn end(&self, id: P::Id, reason: impl Into<String>) -> Result<(), ProcessError> {
        let (id, reason) = (id.to_string(), reason.into());
        let ran = loop {
            let last = self.load(&id).await?;
            if last.state.is_none() {
                break false;
            }
            let ended = append(self.runtime, last.ended(reason.clone())).await;
            if ended.map_err(|halt| halted::<P>(&id, halt))?.is_some() {
                break true;
            }
        };
        let mut parked = self.parked().await?;
        parked.retain(|(key, _)| *key == id);
        if !ran && parked.is_empty() {
            return Err(ProcessError::NotFound { process: P::NAME, id });
        }
        for (_, parked) in parked {
            self.subscription()?.skip(parked.position, reason.as_str()).await?;
        }
        Ok(())
    }

    /// Makes the inputs of this build all that are to be heard from now on: after it has replaced one that hears more, as when an `#[on]`
    /// method was removed or an older build comes back. Until then it stands aside, as [`Status::Outdated`](crate::projection::Status)
    /// says in [`Runtime::health`](crate::Runtime::health); then it goes on within a minute.
    ///
    /// Events that only the other build hears are passed over then: stop its processes first.
    pub async fn accept_fewer(&self) -> Result<(), ProcessError> {
        if let Some(states) = self.runtime.all_states() {
            let reader = Kind::Process.reader(P::NAME);
            self.reactions.inputs(&states, &reader).accept_fewer().await?;
        }
        Ok(())
    }

    fn subscription(&self) -> Result<&SubscriptionHandle, ControlError> {
        self.subscription.as_ref().ok_or_else(|| {
            if self.runtime.is_shut_down() {
                ControlError::ShutDown
            } else {
                ControlError::Elsewhere {
                    reader: P::NAME.to_owned(),
                }
            }
        })
    }

    async fn load(&self, id: &str) -> Result<Last<P>, ProcessError> {
        let last = load::<P>(&**self.runtime.store(), &stream_of::<P>(id)).await;
        last.map_err(|halt| halted::<P>(id, halt))
    }

    /// The parked events in order, each with the instance that is parked with it.
    async fn parked(&self) -> Result<Vec<(String, Parked)>, ProcessError> {
        let Some(cursors) = self.runtime.cursors() else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for parked in all_parked(&*cursors.store, &Kind::Process.reader(P::NAME)).await? {
            let event = cursors.parked_event_at(parked.position).await?;
            let is_step = event.stream.category() == <P as Stored>::NAME;
            let inputs = if is_step {
                Ok(Vec::new())
            } else {
                self.reactions.read(&event)
            };
            let mut keys: Vec<String> = inputs.into_iter().flatten().map(|input| input.key).collect();
            keys.dedup();
            if keys.is_empty() {
                keys.push(event.stream.id().to_owned());
            }
            all.extend(keys.into_iter().map(|key| (key, parked.clone())));
        }
        Ok(all)
    }

    fn instance(last: Last<P>, parked: &[(String, Parked)]) -> Result<Instance<P>, ProcessError> {
        let key = last.stream.id();
        let id = key.parse().map_err(|_| {
            let message = format!("the id of stream `{}` cannot be read", last.stream);
            StoreError::new(StoreErrorKind::Corrupt, message)
        })?;
        let parked = parked.iter().find(|(parked, _)| parked == key);
        let status = match parked {
            _ if last.state.is_none() => InstanceStatus::Ended,
            Some((_, parked)) => InstanceStatus::Parked {
                position: parked.position,
                error: parked.error.clone(),
            },
            None if last.pending.is_empty() => InstanceStatus::Waiting,
            None => InstanceStatus::Sending,
        };
        let pending = last.pending.into_iter().map(|pending| PendingCommand {
            to: pending.to,
            command: pending.command,
            step: pending.step,
        });
        let timers = last.timers.into_iter().map(|timer| SetTimer {
            due: timer.when.from(last.since),
            timer: timer.name,
        });
        Ok(Instance {
            id,
            state: last.state,
            status,
            version: last.version,
            since: last.since,
            pending: pending.collect(),
            timers: timers.collect(),
        })
    }
}

/// Lists instances: `runtime.process_manager::<Transfer>().list().await`, with a condition before the `await`.
#[must_use = "nothing is listed until it is awaited"]
pub struct ListInstances<'h, 'a, P: ProcessManager> {
    handle: &'h ProcessManagerHandle<'a, P>,
    stuck_for: Option<Duration>,
}

impl<P: ProcessManager> ListInstances<'_, '_, P> {
    /// Leaves out those that made a step within this time, by the [clock](crate::Builder::clock) of the runtime.
    pub fn stuck_for(mut self, time: Duration) -> Self {
        self.stuck_for = Some(time);
        self
    }
}

impl<'h, P: ProcessManager> IntoFuture for ListInstances<'h, '_, P> {
    type Output = Result<Vec<Instance<P>>, ProcessError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'h>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { handle, stuck_for } = self;
        Box::pin(async move {
            let runtime = handle.runtime;
            let index = Index::new(P::NAME, runtime.all_states());
            let running = index
                .running(&**runtime.store())
                .await
                .map_err(|halt| halted::<P>("", halt))?;
            let before = stuck_for.map(|time| {
                let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
                let before = runtime.now().as_micros().saturating_sub(micros);
                Timestamp::from_micros(before).unwrap_or(Timestamp::MIN)
            });
            let parked = handle.parked().await?;
            let parked = &parked;
            let read = stream::iter(running).map(|step| async move {
                let last = handle.load(&step.key).await?;
                let is_meant = last.state.is_some() && before.is_none_or(|before| last.since <= before);
                is_meant
                    .then(|| ProcessManagerHandle::instance(last, parked))
                    .transpose()
            });
            let read: Vec<Option<Instance<P>>> = read.buffer_unordered(16).try_collect().await?;
            let mut all: Vec<Instance<P>> = read.into_iter().flatten().collect();
            all.sort_by_key(|instance| instance.since);
            Ok(all)
        })
    }
}

fn stream_of<P: ProcessState>(id: &str) -> StreamId {
    StreamId::new(P::NAME, id)
}

fn halted<P: ProcessState>(id: &str, halt: Halt) -> ProcessError {
    match halt {
        Halt::Later(error) => StoreError::new(StoreErrorKind::Unavailable, error.to_string()).into(),
        Halt::Never(reason) => ProcessError::Unreadable {
            process: P::NAME,
            id: id.to_owned(),
            reason,
        },
    }
}

fn unreadable<P: ProcessState>(id: &str, error: &UnreadableStep) -> ProcessError {
    halted::<P>(id, Halt::Never(chain(error)))
}

impl<P: ProcessManager> fmt::Debug for ProcessManagerHandle<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessManagerHandle")
            .field("process", &P::NAME)
            .finish_non_exhaustive()
    }
}

impl<P: ProcessManager> fmt::Debug for ListInstances<'_, '_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListInstances")
            .field("process", &P::NAME)
            .field("stuck_for", &self.stuck_for)
            .finish()
    }
}
