//! From the last step and what has happened to the next step. Pure: no store, no clock.

use super::step::{Cause, Last, Next, Pending, Timer, When};
use super::{ProcessManager, Reactions, Todo};
use crate::{DecodeError, EncodeError, EventId, Metadata, Position, StreamId};

/// Why a reaction leads to no step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// The event begins an instance, which runs.
    #[error(
        "event `{event}` begins an instance of process manager `{process}`, and this one runs already: have its method take `this: Option<Self>`, or end the instance first"
    )]
    Running { process: &'static str, event: &'static str },
    /// Nobody would hear of what it has set in motion.
    #[error(
        "process manager `{process}` ends the instance and {what} in the same step, so that nobody would hear of it: end the instance when that is answered"
    )]
    EndsWithWork { process: &'static str, what: &'static str },
    /// Its build had a timer of a name that this one does not have.
    #[error(
        "`{stream}` has set timer `{timer}`, and process manager `{process}` of this build hears of no such timer: run a build that does"
    )]
    UnknownTimer {
        process: &'static str,
        stream: StreamId,
        timer: String,
    },
    /// The value of a timer cannot be read.
    #[error("timer `{timer}` of `{stream}` cannot be read")]
    Timer {
        stream: StreamId,
        timer: String,
        #[source]
        source: DecodeError,
    },
    /// A command or a timer has no stored form.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// The effect of an event on an instance.
pub(crate) enum Reacted<P> {
    /// There is no instance, and the event does not begin one.
    Ignored,
    /// The state after it; `None` if the instance has ended.
    Next(Option<P>),
}

/// Where a step comes from, for those who follow what caused what.
pub(crate) struct Origin {
    pub(crate) causation: EventId,
    /// The metadata from which the correlation is carried on.
    pub(crate) metadata: Metadata,
}

impl Origin {
    pub(crate) fn metadata(&self) -> Metadata {
        let mut metadata = Metadata::EMPTY;
        metadata.set_causation_id(self.causation.to_string());
        let carried = self.metadata.correlation_id().map(ToOwned::to_owned);
        metadata.set_correlation_id(carried.unwrap_or_else(|| self.causation.to_string()));
        metadata
    }
}

impl<P: ProcessManager> Reactions<P> {
    /// Returns the step in which the instance hears its timer at this place.
    pub(crate) fn due(&self, last: &Last<P>, place: usize, origin: &Origin) -> Result<Next<P>, Unfit> {
        let mut before = last.clone();
        let timer = before.timers.remove(place);
        let Some(on) = self.timer_named(&timer.name) else {
            let (process, stream) = (P::NAME, last.stream.clone());
            return Err(Unfit::UnknownTimer {
                process,
                stream,
                timer: timer.name,
            });
        };
        let mut todo = Todo::new();
        let state = match last.state.clone() {
            None => None,
            Some(state) => {
                let due = (on.due)(state, timer.payload.get(), timer.when.from(last.since), &mut todo);
                due.map_err(|source| Unfit::Timer {
                    stream: last.stream.clone(),
                    timer: timer.name.clone(),
                    source,
                })?
            }
        };
        let Timer {
            name: timer,
            step,
            index,
            ..
        } = timer;
        before.next(Cause::Due { timer, step, index }, origin, state, todo)
    }
}

impl<P: ProcessManager> Last<P> {
    /// Returns the step in which events at `seen` were heard. `None` if they are not for this instance.
    pub(crate) fn hear(
        &self,
        cause: Cause,
        seen: Position,
        origin: &Origin,
        react: impl FnOnce(Option<P>, &mut Todo<P>) -> Result<Reacted<P>, Unfit>,
    ) -> Result<Option<Next<P>>, Unfit> {
        let mut todo = Todo::new();
        match react(self.state.clone(), &mut todo)? {
            Reacted::Ignored => Ok(None),
            Reacted::Next(state) => {
                let mut next = self.next(cause, origin, state, todo)?;
                next.last.seen = seen;
                Ok(Some(next))
            }
        }
    }

    /// Returns the step in which the first pending command was answered.
    pub(crate) fn answered(
        &self,
        cause: Cause,
        origin: &Origin,
        react: impl FnOnce(P, &mut Todo<P>) -> Option<P>,
    ) -> Result<Next<P>, Unfit> {
        let mut todo = Todo::new();
        let state = self.state.clone().and_then(|state| react(state, &mut todo));
        let mut before = self.clone();
        before.pending.remove(0);
        before.next(cause, origin, state, todo)
    }

    /// Returns the step in which an operator ends the instance.
    pub(crate) fn ended(&self, reason: String) -> Next<P> {
        let mut next = self.clone();
        next.version = self.version.next();
        (next.state, next.cause) = (None, Some(Cause::Ended { reason }));
        (next.pending, next.timers) = (Vec::new(), Vec::new());
        Next { last: next }
    }

    fn next(&self, cause: Cause, origin: &Origin, state: Option<P>, todo: Todo<P>) -> Result<Next<P>, Unfit> {
        if let Some(error) = todo.error {
            return Err(error.into());
        }
        let step = self.version.next();
        let mut next = Last {
            stream: self.stream.clone(),
            version: step,
            // Known when the step is encoded.
            id: self.id,
            metadata: origin.metadata(),
            state,
            pending: self.pending.clone(),
            timers: self.timers.clone(),
            seen: self.seen,
            cause: Some(cause),
            since: self.since,
        };
        if next.state.is_none() {
            let process = P::NAME;
            let what = match (todo.commands.is_empty(), todo.timers.is_empty()) {
                (false, _) => Some("sends a command"),
                (true, false) => Some("sets a timer"),
                (true, true) => None,
            };
            // Commands of earlier steps are given up with the instance.
            (next.pending, next.timers) = (Vec::new(), Vec::new());
            return what.map_or(Ok(Next { last: next }), |what| {
                Err(Unfit::EndsWithWork { process, what })
            });
        }
        for (index, send) in (0..).zip(todo.commands) {
            next.pending.push(Pending {
                step,
                index,
                // Known when the step is encoded.
                sent: EventId(uuid::Uuid::nil()),
                to: send.to,
                command: send.command.to_owned(),
                shape: send.shape,
                payload: send.payload,
            });
        }
        for (index, timer) in (0..).zip(todo.timers) {
            next.timers.push(Timer {
                step,
                index,
                name: timer.name.to_owned(),
                when: When::after(timer.after),
                payload: timer.payload,
            });
        }
        Ok(Next { last: next })
    }
}
