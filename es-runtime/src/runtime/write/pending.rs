//! Writes on their way to the store.

use std::any::Any;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tracing::Span;

use super::{ExpectedVersion, Write, WriteError, WriteTo, exactly};
use crate::runtime::decide::{Batch, Written, checked, decline, size, valid, write as encode};
use crate::runtime::state::Current;
use crate::runtime::{Receipt, Runtime};
use crate::store::{Append, AppendRef, StreamAppend};
use crate::{Context, EventId, EventSourced, ExecuteError};

/// The end of a write: with the panic of its handler, if that is what it came to.
pub(super) type Answer = Result<Result<Receipt, WriteError>, Box<dyn Any + Send>>;

/// Gives the answer to the one who is to have it.
pub(super) fn answered(answer: Answer) -> Result<Receipt, WriteError> {
    answer.unwrap_or_else(|panic| resume_unwind(panic))
}

/// The progress of another task with a write.
#[derive(Default)]
pub(super) enum Stage {
    /// It is not on its way to the store.
    #[default]
    Waiting,
    /// It may be stored already.
    Sent(AppendRef),
    /// Its sender does not wait for it any longer: nothing of it is to be stored.
    Withdrawn,
}

impl<D: ?Sized> Write<D> {
    pub(super) fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the write back. Returns whether nothing of it is or will be stored by another task.
    pub(super) fn withdraw(&self) -> bool {
        let mut stage = self.stage();
        let is_sent = matches!(*stage, Stage::Sent(_));
        if !is_sent {
            *stage = Stage::Withdrawn;
        }
        !is_sent
    }
}

/// A write that is not answered yet.
pub(in crate::runtime) struct Pending<'a, A: EventSourced> {
    pub(super) write: Source<'a, A>,
    pub(super) attempts: u32,
    pub(super) decision: Option<Decision<A>>,
    pub(super) answer: Option<Answer>,
    /// The task that waits for the answer, if it is another one, and what it was doing.
    sender: Option<(oneshot::Sender<Answer>, Span)>,
}

/// A write of this task, or of another one.
pub(super) enum Source<'a, A: EventSourced> {
    Own(&'a WriteTo<A>),
    Shared(Arc<WriteTo<A>>),
}

impl<A: EventSourced> Deref for Source<'_, A> {
    type Target = WriteTo<A>;

    fn deref(&self) -> &WriteTo<A> {
        match self {
            Self::Own(write) => write,
            Self::Shared(write) => write,
        }
    }
}

/// The decision of a handler.
pub(super) enum Decision<A: EventSourced> {
    Append(Decided<A>),
    End(End),
}

/// A decision that stores nothing.
pub(super) enum End {
    Nothing,
    Failed(WriteError),
    Panicked(Box<dyn Any + Send>),
}

/// An append, and what it makes of the state.
pub(super) struct Decided<A: EventSourced> {
    /// `None` once it is sent.
    pub(super) append: Option<Append>,
    /// The events to fold; empty once they are folded.
    pub(super) read: Vec<A::Event>,
    /// The number of events that are stored.
    pub(super) events: usize,
    /// The last of them.
    pub(super) last: Option<EventId>,
    /// The size of their payloads.
    pub(super) bytes: usize,
}

impl<'a, A: EventSourced> Pending<'a, A> {
    /// A write of this task.
    pub(super) fn own(write: &'a WriteTo<A>) -> Self {
        Self::of(Source::Own(write), None)
    }

    /// A write for another task, and where this one gets the answer.
    pub(super) fn shared(write: &Arc<WriteTo<A>>) -> (Self, oneshot::Receiver<Answer>) {
        let (sender, answer) = oneshot::channel();
        let pending = Self::of(Source::Shared(Arc::clone(write)), Some((sender, Span::current())));
        (pending, answer)
    }

    fn of(write: Source<'a, A>, sender: Option<(oneshot::Sender<Answer>, Span)>) -> Self {
        Self {
            write,
            attempts: 1,
            decision: None,
            answer: None,
            sender,
        }
    }

    /// The span of the task that sent it.
    pub(super) fn span(&self) -> Option<&Span> {
        self.sender.as_ref().map(|(_, span)| span)
    }

    /// Gives the answer to the task that waits for it. Returns whether there is one.
    pub(super) fn tell(&mut self) -> bool {
        let Some(answer) = self.answer.take() else {
            return false;
        };
        if let Some((sender, _)) = self.sender.take() {
            // A sender that has gone needs no answer.
            let _ = sender.send(answer);
        }
        true
    }

    /// Returns whether nobody wants it any longer.
    pub(in crate::runtime) fn is_withdrawn(&self) -> bool {
        let Some((sender, _)) = &self.sender else {
            return false;
        };
        sender.is_closed() || matches!(*self.write.stage(), Stage::Withdrawn)
    }

    /// Decides on this state.
    pub(super) fn decide(&mut self, runtime: &Runtime, current: &Current<A>) {
        let decide = || match self.decided(runtime, current) {
            Ok(None) => Decision::End(End::Nothing),
            Ok(Some(decided)) => Decision::Append(decided),
            Err(error) => Decision::End(End::Failed(error)),
        };
        // The writes before it and behind it have no part in its panic.
        let decision = catch_unwind(AssertUnwindSafe(|| match self.span() {
            Some(span) => span.in_scope(decide),
            None => decide(),
        }));
        self.decision = Some(decision.unwrap_or_else(|panic| Decision::End(End::Panicked(panic))));
    }

    fn decided(&self, runtime: &Runtime, current: &Current<A>) -> Result<Option<Decided<A>>, WriteError> {
        let write = &*self.write;
        let actual = current.version;
        if let Some(expected) = write.expected.filter(|expected| *expected != actual) {
            return Err(ExecuteError::Conflict {
                stream: write.stream.clone(),
                expected: ExpectedVersion::Exact(expected),
                actual,
                attempts: self.attempts,
                demanded: true,
            });
        }
        let now = runtime.0.clock.now();
        let context = Context::new(write.stream.clone(), actual, now, write.metadata.clone());
        let state = (*current.state).as_ref();
        let events = (write.decide)(state, &context).map_err(|declined| decline(&write.stream, declined))?;
        valid::<A, _>(&events)?;
        checked::<A, _>(&write.stream, state.is_some(), &events)?;
        if events.is_empty() && write.key.is_none() {
            return Ok(None);
        }
        let batch = Batch {
            id: write.id,
            first: 0,
            metadata: &write.metadata,
            times: &write.times,
        };
        let caps = &runtime.0.caps;
        let Written { stored, read } = encode::<A, _>(caps, &write.stream, state.is_some(), events, &batch)?;
        let (events, bytes) = (stored.len(), size(&stored));
        let last = stored.last().map(|event| event.id);
        let part = StreamAppend {
            stream: write.stream.clone(),
            expected: exactly(actual),
            last: current.last,
            events: stored,
        };
        let append = Append {
            id: write.id,
            key: write.key.clone(),
            streams: vec![part],
        };
        Ok(Some(Decided {
            append: Some(append),
            read,
            events,
            last,
            bytes,
        }))
    }

    /// Puts it on its way to the store, if it has an append. Returns whether its sender still wants it.
    pub(super) fn send(&self) -> bool {
        let Some(Decision::Append(Decided {
            append: Some(append), ..
        })) = &self.decision
        else {
            return true;
        };
        if self.sender.is_none() {
            return true;
        }
        let mut stage = self.write.stage();
        if matches!(*stage, Stage::Withdrawn) {
            return false;
        }
        *stage = Stage::Sent(AppendRef::of(append));
        true
    }

    /// Takes the append, to store it.
    pub(super) fn append(&mut self) -> Option<Append> {
        match &mut self.decision {
            Some(Decision::Append(decided)) => decided.append.take(),
            _ => None,
        }
    }

    /// Has it decided again: nothing of it is stored.
    pub(super) fn reset(&mut self) {
        self.decision = None;
        let mut stage = self.write.stage();
        if matches!(*stage, Stage::Sent(_)) {
            *stage = Stage::Waiting;
        }
    }
}
