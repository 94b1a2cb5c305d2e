//! The stored form of a step, and the instance as its last step leaves it.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ProcessManager;
use super::react::Origin;
use super::todo::raw;
use crate::store::StreamAppend;
use crate::{
    DecodeError, EncodeError, EventId, ExpectedVersion, Metadata, NewEvent, Position, RecordedEvent, Stored, StreamId,
    Timestamp, Version,
};

/// The name under which every step is stored, in the streams of any process manager.
pub(crate) const STEP: &str = "step";

/// The version of the shape of a step.
const SHAPE: u32 = 1;

/// A step as it is stored. It says everything that the next one needs, so that no earlier one is read again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredStep {
    cause: Cause,
    /// Missing once the instance has ended: the state of a unit struct is `null`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    state: Option<Box<RawValue>>,
    /// The version of the state's shape.
    shape: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pending: Vec<Pending>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    timers: Vec<Timer>,
    seen: Position,
}

fn present<'de, D: serde::Deserializer<'de>>(state: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(state).map(Some)
}

/// Why a step was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// An event.
    Event {
        /// Its number in the store.
        position: Position,
        /// Its id.
        id: EventId,
    },
    /// The answer to a command.
    Answer {
        /// The version of the step that sent the command.
        step: Version,
        /// Its place among the commands of that step.
        index: u32,
        /// The stream of the aggregate.
        from: StreamId,
        /// Why the command changed nothing, in words; `None` if it was executed.
        failed: Option<String>,
    },
    /// Timers are due, which the next steps hear.
    Elapsed,
    /// A timer.
    Due {
        /// The timer's name.
        timer: String,
        /// The version of the step that set it.
        step: Version,
        /// Its place among the timers of that step.
        index: u32,
    },
    /// An operator has ended the instance, see [`ProcessManagerHandle::end`](crate::process::ProcessManagerHandle::end).
    Ended {
        /// The operator's reason.
        reason: String,
    },
}

/// A command that is not answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// The step that sent it, and its place among the commands of that.
    pub(crate) step: Version,
    pub(crate) index: u32,
    /// The event of that step.
    pub(crate) sent: EventId,
    pub(crate) to: StreamId,
    pub(crate) command: String,
    pub(crate) shape: u32,
    pub(crate) payload: Box<RawValue>,
}

/// A timer that is not due, or was not heard yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Timer {
    /// The step that set it, and its place among the timers of that.
    pub(crate) step: Version,
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) when: When,
    pub(crate) payload: Box<RawValue>,
}

/// When a timer is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum When {
    /// So many milliseconds after its step was recorded: the store's clock is not known before.
    After(u64),
    At(Timestamp),
    /// It was due then, and is to be heard.
    Elapsed(Timestamp),
}

impl When {
    pub(crate) fn after(time: Duration) -> Self {
        Self::After(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    /// Returns whether it is to be heard.
    pub(crate) fn is_elapsed(self) -> bool {
        matches!(self, Self::Elapsed(_))
    }

    /// The same with a time in the place of a span that began at this one.
    fn resolved(self, recorded_at: Timestamp) -> Self {
        match self {
            Self::After(_) => Self::At(self.from(recorded_at)),
            Self::At(_) | Self::Elapsed(_) => self,
        }
    }

    /// Resolves it for a timer of a step that was recorded at this time.
    pub(crate) fn from(self, recorded_at: Timestamp) -> Timestamp {
        match self {
            Self::At(at) | Self::Elapsed(at) => at,
            Self::After(millis) => {
                let micros = i64::try_from(millis.saturating_mul(1_000)).unwrap_or(i64::MAX);
                let at = recorded_at.as_micros().saturating_add(micros);
                Timestamp::from_micros(at).unwrap_or(Timestamp::MAX)
            }
        }
    }
}

/// An instance as its last step leaves it.
#[derive(Debug, Clone)]
pub(crate) struct Last<P> {
    pub(crate) stream: StreamId,
    /// The version of the last step; 0 if there is none.
    pub(crate) version: Version,
    /// The event of the last step.
    pub(crate) id: EventId,
    /// That of the last step.
    pub(crate) metadata: Metadata,
    /// `None` if there is no instance, or it has ended.
    pub(crate) state: Option<P>,
    pub(crate) pending: Vec<Pending>,
    pub(crate) timers: Vec<Timer>,
    pub(crate) seen: Position,
    /// Why the last step was made; `None` if there is none.
    pub(crate) cause: Option<Cause>,
    /// When the last step was recorded.
    pub(crate) since: Timestamp,
}

impl<P> Last<P> {
    /// The place of the timer that has elapsed first, if one has.
    pub(crate) fn elapsed(&self) -> Option<usize> {
        let timers = self.timers.iter().enumerate();
        let elapsed = timers.filter(|(_, timer)| timer.when.is_elapsed());
        let first = elapsed.min_by_key(|(place, timer)| (timer.when.from(self.since), *place));
        first.map(|(place, _)| place)
    }
}

/// The part of a step that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnreadableStep {
    /// It is not of the engine's shape.
    #[error("it is `{name}` with shape version {shape_version}, and this build reads `step` with version 1")]
    NoStep { name: String, shape_version: u32 },
    #[error("it is not of the shape of a step")]
    Malformed(#[from] serde_json::Error),
    #[error("its state with shape version {shape} cannot be read")]
    State {
        shape: u32,
        #[source]
        source: DecodeError,
    },
}

/// A step without its state, as far as it has to be known then.
#[derive(Debug, Clone)]
pub(crate) struct Brief {
    /// The instance's id as text.
    pub(crate) key: String,
    pub(crate) version: Version,
    /// False once the instance has ended.
    pub(crate) is_running: bool,
    /// True if there are commands that are not answered, or timers that are to be heard.
    pub(crate) has_work: bool,
    /// The time for which the first timer is set that has not elapsed.
    pub(crate) due: Option<Timestamp>,
}

impl Brief {
    pub(crate) fn read(step: &RecordedEvent) -> Result<Self, UnreadableStep> {
        let stored = read(step)?;
        Ok(Self {
            key: step.stream.id().to_owned(),
            version: step.version,
            is_running: stored.state.is_some(),
            has_work: has_work(&stored.pending, &stored.timers),
            due: first_due(&stored.timers, step.recorded_at),
        })
    }

    /// Returns whether it runs, and the time at which its first timer is due.
    pub(crate) fn stands(&self) -> (bool, Option<Timestamp>) {
        (self.is_running, self.due)
    }
}

fn first_due(timers: &[Timer], recorded_at: Timestamp) -> Option<Timestamp> {
    let set = timers.iter().filter(|timer| !timer.when.is_elapsed());
    set.map(|timer| timer.when.from(recorded_at)).min()
}

fn has_work(pending: &[Pending], timers: &[Timer]) -> bool {
    !pending.is_empty() || timers.iter().any(|timer| timer.when.is_elapsed())
}

/// The step behind this one in which the timers that are due by now elapse; `None` if none is. No code of the user runs here: the state
/// stays as it is stored.
pub(crate) fn elapse(
    step: &RecordedEvent,
    now: Timestamp,
    id: EventId,
) -> Result<Option<StreamAppend>, UnreadableStep> {
    let mut stored = read(step)?;
    let mut is_due = false;
    for timer in &mut stored.timers {
        timer.when = match timer.when.resolved(step.recorded_at) {
            When::At(at) if at <= now => {
                is_due = true;
                When::Elapsed(at)
            }
            when => when,
        };
    }
    if !is_due {
        return Ok(None);
    }
    stored.cause = Cause::Elapsed;
    let origin = Origin {
        causation: step.id,
        metadata: step.metadata.clone(),
    };
    Ok(Some(StreamAppend {
        stream: step.stream.clone(),
        expected: ExpectedVersion::Exact(step.version),
        last: Some(step.id),
        events: vec![NewEvent {
            id,
            name: STEP.into(),
            shape_version: SHAPE,
            payload: Bytes::from(serde_json::to_vec(&stored)?),
            metadata: origin.metadata(),
        }],
    }))
}

fn read(step: &RecordedEvent) -> Result<StoredStep, UnreadableStep> {
    if step.name != STEP || step.shape_version != SHAPE {
        return Err(UnreadableStep::NoStep {
            name: step.name.clone().into_owned(),
            shape_version: step.shape_version,
        });
    }
    Ok(serde_json::from_slice(&step.payload)?)
}

impl<P: ProcessManager> Last<P> {
    /// An instance without a step.
    pub(crate) fn none(stream: StreamId) -> Self {
        Self {
            stream,
            version: Version::ZERO,
            id: EventId(uuid::Uuid::nil()),
            metadata: Metadata::EMPTY,
            state: None,
            pending: Vec::new(),
            timers: Vec::new(),
            seen: Position::ZERO,
            cause: None,
            since: Timestamp::MIN,
        }
    }

    /// The instance after its last step.
    pub(crate) fn read(step: &RecordedEvent) -> Result<Self, UnreadableStep> {
        let stored = read(step)?;
        let state = match stored.state {
            None => None,
            Some(state) => {
                let read = <P as Stored>::decode(stored.shape, state.get().as_bytes());
                let shape = stored.shape;
                Some(read.map_err(|source| UnreadableStep::State { shape, source })?)
            }
        };
        let mut timers = stored.timers;
        for timer in &mut timers {
            timer.when = timer.when.resolved(step.recorded_at);
        }
        Ok(Self {
            stream: step.stream.clone(),
            version: step.version,
            id: step.id,
            metadata: step.metadata.clone(),
            state,
            pending: stored.pending,
            timers,
            seen: stored.seen,
            cause: Some(stored.cause),
            since: step.recorded_at,
        })
    }
}

/// A step that is to be stored.
#[derive(Debug, Clone)]
pub(crate) struct Next<P> {
    pub(crate) last: Last<P>,
}

impl<P: ProcessManager> Next<P> {
    /// The append to the stream of the instance, where its last step must be the one that this one follows.
    pub(crate) fn part(&mut self, id: EventId) -> Result<StreamAppend, EncodeError> {
        let (before, last) = (Version(self.last.version.0 - 1), self.last.id);
        Ok(StreamAppend {
            stream: self.last.stream.clone(),
            expected: ExpectedVersion::Exact(before),
            last: (before > Version::ZERO).then_some(last),
            events: vec![self.encode(id)?],
        })
    }

    /// Its stored form, as the event of this id.
    pub(crate) fn encode(&mut self, id: EventId) -> Result<NewEvent, EncodeError> {
        let last = &mut self.last;
        last.id = id;
        for pending in last.pending.iter_mut().filter(|pending| pending.step == last.version) {
            pending.sent = id;
        }
        let state = match &last.state {
            None => None,
            Some(state) => {
                let mut json = Vec::new();
                state.encode(&mut json)?;
                Some(raw(&json).map_err(unwritten)?)
            }
        };
        let cause = last.cause.clone();
        let stored = StoredStep {
            cause: cause.unwrap_or_else(|| unreachable!("a step that is to be stored has a cause")),
            state,
            shape: P::SHAPE_VERSION,
            pending: last.pending.clone(),
            timers: last.timers.clone(),
            seen: last.seen,
        };
        Ok(NewEvent {
            id,
            name: STEP.into(),
            shape_version: SHAPE,
            payload: Bytes::from(serde_json::to_vec(&stored).map_err(unwritten)?),
            metadata: last.metadata.clone(),
        })
    }

    /// The instance after the step was recorded.
    pub(crate) fn stored(mut self, recorded_at: Timestamp) -> Last<P> {
        for timer in &mut self.last.timers {
            timer.when = timer.when.resolved(recorded_at);
        }
        self.last.since = recorded_at;
        self.last
    }
}

fn unwritten(source: serde_json::Error) -> EncodeError {
    EncodeError::Value { name: STEP, source }
}
