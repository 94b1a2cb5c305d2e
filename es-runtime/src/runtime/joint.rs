//! Decides a command and stores, in one append, its events and what another stream says of the outcome.

use std::sync::{Arc, Weak};

use super::decide::{Batch, Written, checked, valid, write};
use super::retry::RetryPolicy;
use super::state::{Current, Erased};
use super::write::{Committed, Failing, WriteError, commit, exactly, lost};
use super::{Inner, Runtime};
use crate::command::Declined;
use crate::process::Why;
use crate::store::{Append, AppendError, Appended, StreamAppend};
use crate::{
    AppendId, CommandOf, Context, EventEnum as _, EventId, EventSourced, Metadata, StreamId, Version, metrics,
};

/// A command that is decided jointly.
pub(crate) struct Joint {
    pub(crate) runtime: Runtime,
    pub(crate) stream: StreamId,
    pub(crate) metadata: Metadata,
}

/// The part of the other stream, for an outcome: the version of the aggregate after its events, or why there are none. It is
/// asked again on a conflict; its event has the given id.
pub(crate) type Beside<'a, R, E> = dyn FnMut(EventId, Result<Version, Why<R>>) -> Result<StreamAppend, E> + Send + 'a;

/// Why nothing was stored.
pub(crate) enum NotJoint<E> {
    /// The other stream has moved.
    Moved,
    /// It could not be said what that stream says.
    Beside(E),
    Failed(WriteError),
}

impl<E, F: Into<WriteError>> From<F> for NotJoint<E> {
    fn from(error: F) -> Self {
        Self::Failed(error.into())
    }
}

impl Joint {
    /// Decides `command`, and again if the aggregate has moved.
    pub(crate) async fn run<A: EventSourced, C: CommandOf<A>, E>(
        &self,
        command: &C,
        beside: &mut Beside<'_, C::Refusal, E>,
    ) -> Result<Appended, NotJoint<E>> {
        let (stream, inner) = (&self.stream, &self.runtime.0);
        let cached = inner.cache.take(stream);
        metrics::looked_up(A::NAME, cached.is_some());
        let mut fresh = cached.is_none();
        let mut current = cached.map(Erased::typed::<A>).unwrap_or_default();
        if fresh {
            current.catch_up(&self.runtime, stream).await?;
        }
        let (append, mut attempts) = (AppendId::new(), 1);
        loop {
            let decided = self.decide::<A, C, E>(&current, command, append);
            // An error is decided on the newest state.
            if decided.is_err() && !fresh {
                fresh = true;
                if current.catch_up(&self.runtime, stream).await? {
                    continue;
                }
            }
            let (Written { stored, read }, outcome) = decided?;
            let events = stored.len() as u64;
            let bytes: usize = stored.iter().map(|event| event.payload.len()).sum();
            let beside = beside(append.event_id(events), outcome).map_err(NotJoint::Beside)?;
            let of_beside = beside.stream.clone();
            let target = StreamAppend {
                stream: stream.clone(),
                expected: exactly(current.version),
                last: current.last,
                events: stored,
            };
            let streams = vec![target, beside];
            let (id, key) = (append, None);
            match commit(&self.runtime, Append { id, key, streams }).await {
                Ok(Committed::Stored(appended)) => {
                    current.bytes += bytes;
                    self.keep(current, read, &appended);
                    return Ok(appended);
                }
                Err(AppendError::Conflict { stream, .. }) if stream == of_beside => return Err(NotJoint::Moved),
                Err(AppendError::Conflict { actual, .. }) if inner.retry.allows_another(attempts) => {
                    // The log was restored to an earlier point: what was folded is not in it, or not in that place.
                    if actual <= current.version {
                        current = Current::default();
                    }
                }
                Ok(Committed::Not) if inner.retry.allows_another(attempts) => {}
                Ok(Committed::Not) => return Err(lost().into()),
                Err(error) => {
                    let failing = Failing {
                        attempts,
                        demanded: false,
                        keyed: false,
                    };
                    return Err(NotJoint::Failed(failing.with(error)));
                }
            }
            metrics::retried(A::NAME);
            RetryPolicy::pause(inner.retry, attempts).await;
            attempts += 1;
            current.catch_up(&self.runtime, stream).await?;
            fresh = true;
        }
    }

    /// Decides once. Returns what is to be stored of the aggregate, and the outcome.
    #[expect(clippy::type_complexity, reason = "a pair of two results that belong together")]
    fn decide<A: EventSourced, C: CommandOf<A>, E>(
        &self,
        current: &Current<A>,
        command: &C,
        append: AppendId,
    ) -> Result<(Written<A::Event>, Result<Version, Why<C::Refusal>>), NotJoint<E>> {
        let Self {
            runtime,
            stream,
            metadata,
        } = self;
        let nothing = |why| {
            let (stored, read) = (Vec::new(), Vec::new());
            Ok((Written { stored, read }, Err(why)))
        };
        if let Err(invalid) = command.check() {
            return nothing(Why::Invalid(invalid));
        }
        let context = Context::new(stream.clone(), current.version, runtime.0.clock.now(), metadata.clone());
        let events = match command.clone().decide((*current.state).as_ref(), &context) {
            Ok(events) => events,
            Err(declined) => return nothing(Declined::into(declined)),
        };
        valid::<A, _>(&events)?;
        let exists = current.state.is_some();
        checked::<A, _>(stream, exists, &events)?;
        let batch = Batch {
            id: append,
            first: 0,
            metadata,
            times: &[],
        };
        let written = write::<A, _>(&runtime.0.caps, stream, exists, events, &batch)?;
        let version = Version(current.version.0 + written.stored.len() as u64);
        Ok((written, Ok(version)))
    }

    /// Gives the state to the cache.
    fn keep<A: EventSourced>(&self, mut current: Current<A>, read: Vec<A::Event>, appended: &Appended) {
        let Some(part) = appended.streams.first() else { return };
        let before = current.version;
        current.version = part.version;
        if let Some(last) = part.events.checked_sub(1) {
            // Its events are the first ones of the append.
            current.last = Some(appended.id.event_id(last as u64));
            current.position = part.position;
            current.recorded_at = appended.recorded_at;
        }
        if read.into_iter().all(|event| event.apply(&mut current.state).is_ok()) {
            self.runtime.0.cache.put(&self.stream, current.into());
            self.runtime.appended::<A>(&self.stream, before, part.version);
        }
    }
}

/// A runtime that this does not keep alive.
#[derive(Clone)]
pub(crate) struct WeakRuntime(Weak<Inner>);

impl WeakRuntime {
    pub(crate) fn upgrade(&self) -> Option<Runtime> {
        self.0.upgrade().map(Runtime)
    }
}

impl Runtime {
    pub(crate) fn downgrade(&self) -> WeakRuntime {
        WeakRuntime(Arc::downgrade(&self.0))
    }

    /// Appends, and asks what became of it if that was not learnt. `None` if a stream has moved.
    pub(crate) async fn append_part(&self, id: AppendId, part: StreamAppend) -> Result<Option<Appended>, WriteError> {
        let (key, streams) = (None, vec![part]);
        match commit(self, Append { id, key, streams }).await {
            Ok(Committed::Stored(appended)) => Ok(Some(appended)),
            Ok(Committed::Not) => Err(lost().into()),
            Err(AppendError::Conflict { .. }) => Ok(None),
            Err(error) => {
                let failing = Failing {
                    attempts: 1,
                    demanded: false,
                    keyed: false,
                };
                Err(failing.with(error))
            }
        }
    }
}

#[cfg(test)]
mod tests;
