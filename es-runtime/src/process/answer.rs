//! Has a pending command executed, and stores its answer and the reaction to it with its events.

use super::react::{Origin, Unfit};
use super::reactions::DoneFn;
use super::step::{Cause, Last, Pending, UnreadableStep};
use super::{Done, Failed, HearsFailure, ProcessManager, Sendable};
use crate::error::chain;
use crate::runtime::{Joint, NotJoint, Runtime, WriteError};
use crate::store::StreamAppend;
use crate::subscription::Halt;
use crate::{BelongsToOneAggregate, EventId, Metadata, StoreError, StoreErrorKind, Version};

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        if error.kind() == StoreErrorKind::Corrupt {
            Self::never(&error)
        } else {
            Self::Later(Box::new(error))
        }
    }
}

impl From<WriteError> for Halt {
    fn from(error: WriteError) -> Self {
        // The versions that an append expects keep it from being done twice, whatever became of it.
        if error.is_retryable() || matches!(error, WriteError::Indeterminate { .. }) {
            Self::Later(chain(&error).into())
        } else {
            Self::Never(chain(&error))
        }
    }
}

impl From<Unfit> for Halt {
    fn from(unfit: Unfit) -> Self {
        Self::never(&unfit)
    }
}

impl From<UnreadableStep> for Halt {
    fn from(error: UnreadableStep) -> Self {
        Self::never(&error)
    }
}

/// An instance whose first pending command is to be executed.
pub(super) struct Answering<P> {
    pub(super) runtime: Runtime,
    pub(super) last: Last<P>,
}

/// Executes the first pending command, which is a `C`. `None` if the instance has moved meanwhile.
pub(super) async fn execute<P, C>(answering: Answering<P>, done: DoneFn<P, C>) -> Result<Option<Last<P>>, Halt>
where
    P: ProcessManager + HearsFailure<C>,
    C: Sendable,
{
    let Answering { runtime, last } = answering;
    let Some(pending) = last.pending.first() else {
        return Ok(None);
    };
    let command = decode::<P, C>(&last, pending)?;
    let joint = Joint {
        runtime,
        stream: pending.to.clone(),
        metadata: metadata(&last, pending),
    };
    let mut next = None;
    let mut beside = |id: EventId, outcome: Result<Version, _>| -> Result<StreamAppend, Halt> {
        let (command, stream) = (command.clone(), pending.to.clone());
        let failed = outcome.as_ref().err().map(ToString::to_string);
        let cause = Cause::Answer {
            step: pending.step,
            index: pending.index,
            from: stream.clone(),
            failed,
        };
        let origin = Origin {
            causation: pending.sent,
            metadata: last.metadata.clone(),
        };
        let mut step = last.answered(cause, &origin, |state, todo| match outcome {
            Ok(version) => done(
                state,
                Done {
                    command,
                    stream,
                    version,
                },
                todo,
            ),
            Err(why) => state.failed(Failed { command, stream, why }, todo),
        })?;
        let part = step.part(id).map_err(Unfit::from)?;
        next = Some(step);
        Ok(part)
    };
    match joint
        .run::<<C as BelongsToOneAggregate>::Aggregate, C, _>(&command, &mut beside)
        .await
    {
        Ok(appended) => Ok(next.map(|next| next.stored(appended.recorded_at))),
        Err(NotJoint::Moved) => Ok(None),
        Err(NotJoint::Beside(halt)) => Err(halt),
        Err(NotJoint::Failed(error)) => Err(of_target(error, pending)),
    }
}

fn decode<P: ProcessManager, C: Sendable>(last: &Last<P>, pending: &Pending) -> Result<C, Halt> {
    crate::json::from_slice(pending.payload.get().as_bytes()).map_err(|error| {
        Halt::Never(format!(
            "the command `{}` to `{}`, which step {} of `{}` has stored, cannot be read: {error}",
            pending.command, pending.to, pending.step, last.stream
        ))
    })
}

/// That of the events of the command.
fn metadata<P>(last: &Last<P>, pending: &Pending) -> Metadata {
    let mut metadata = Metadata::EMPTY;
    metadata.set_causation_id(pending.sent.to_string());
    if let Some(correlation) = last.metadata.correlation_id() {
        metadata.set_correlation_id(correlation);
    }
    metadata
}

/// Names the command in what went wrong with it.
fn of_target(error: WriteError, pending: &Pending) -> Halt {
    match Halt::from(error) {
        Halt::Never(error) => Halt::Never(format!("command `{}` to `{}`: {error}", pending.command, pending.to)),
        later @ Halt::Later(_) => later,
    }
}
