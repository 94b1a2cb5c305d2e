//! Replies to callers that append.

use std::time::Duration;

use es_runtime::store::{Append, AppendError, AppendRef, Appended, InlineError, StreamAppend};
use es_runtime::{AppendId, StoreError, StoreErrorKind};
use tokio::sync::oneshot;

use crate::batch::{Answer, Encoded, invalid};
use crate::error::Problem;
use crate::outcome::Outcome;

/// The outcome of an append that did not fail.
pub(crate) enum Reply {
    Appended(Appended),
    /// It, or one with the same key, is stored since before under the id `stored`.
    Repeated {
        append: Box<Append>,
        stored: AppendId,
    },
}

/// The appends of a chain that were not done, because of a value in one of them.
pub(crate) struct NotDone(pub(crate) Vec<Append>);

/// The answers to appends, up to the first that was not stored now.
pub(crate) type Replies = Result<Vec<Result<Reply, InlineError>>, NotDone>;

/// Appends with who waits for them: one, or a chain.
pub(crate) struct Waiting {
    /// Each is done only if the one before it was stored now. Never empty.
    pub(crate) chain: Vec<Encoded>,
    /// `None` once it was answered.
    reply: Option<oneshot::Sender<Replies>>,
    /// True if the server may have received it.
    pub(crate) is_sent: bool,
}

impl Waiting {
    pub(crate) fn new(chain: Vec<Encoded>, reply: oneshot::Sender<Replies>) -> Self {
        Self {
            chain,
            reply: Some(reply),
            is_sent: false,
        }
    }

    pub(crate) fn is_deserted(&self) -> bool {
        self.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    pub(crate) fn answer(mut self, answers: Vec<Answered>) {
        let answers = answers.into_iter().zip(&self.chain);
        let results = answers.map(|(answered, encoded)| result(answered, &encoded.append));
        let mut replies = Vec::with_capacity(self.chain.len());
        for result in results {
            // Behind one that standbys have not confirmed stand others of which the same is true.
            let is_end = result.is_err();
            replies.push(result.map_err(InlineError::from));
            if is_end {
                break;
            }
        }
        self.reply(Ok(replies));
    }

    /// Its appends met `problem`, all of them together.
    pub(crate) fn fail(mut self, outcome: Outcome, problem: Problem, holder: Option<&str>) {
        if outcome == Outcome::BadValue && self.chain.len() > 1 {
            let chain = std::mem::take(&mut self.chain);
            self.reply(Err(NotDone(chain.into_iter().map(|encoded| encoded.append).collect())));
        } else {
            let error = failure(outcome, problem, holder, &self.chain[0].append);
            self.reply(Ok(vec![Err(error.into())]));
        }
    }

    /// An inline projection refuses the append, which is the only one.
    pub(crate) fn refuse(mut self, error: InlineError) {
        self.reply(Ok(vec![Err(error)]));
    }

    fn reply(&mut self, replies: Replies) {
        if let Some(reply) = self.reply.take() {
            // The caller may be gone.
            let _ = reply.send(replies);
        }
    }
}

impl Drop for Waiting {
    /// The task ended before there was an answer: its runtime was shut down, or it panicked.
    fn drop(&mut self) {
        if self.is_sent && self.reply.is_some() {
            let append = Box::new(AppendRef::of(&self.chain[0].append));
            let source = ended();
            self.reply(Ok(vec![Err(AppendError::Indeterminate { append, source }.into())]));
        }
    }
}

/// An answer, and whether the standbys that the commit should have waited for have not confirmed it.
pub(crate) struct Answered {
    pub(crate) answer: Answer,
    pub(crate) unconfirmed: bool,
}

/// Longer from attempt to attempt, and of random length, so that writers that collided do not collide again.
pub(crate) fn pause(attempt: u32) -> Duration {
    let random = uuid::Uuid::now_v7().as_u64_pair().1 % 4096;
    Duration::from_micros(u64::from(attempt) * random)
}

pub(crate) fn result(answered: Answered, append: &Append) -> Result<Reply, AppendError> {
    match answered.answer {
        Answer::Appended(_) if answered.unconfirmed => Err(AppendError::UnderReplicated {
            append: Box::new(AppendRef::of(append)),
        }),
        Answer::Appended(appended) => Ok(Reply::Appended(appended)),
        Answer::Repeated(stored) => Ok(Reply::Repeated {
            append: Box::new(append.clone()),
            stored,
        }),
        Answer::KeyMismatch => Err(AppendError::IdempotencyMismatch {
            what: format!("idempotency key `{}`", append.key.as_ref().map_or("", |key| &*key.key)),
        }),
        Answer::Untried => unreachable!("what was not tried has no answer"),
        Answer::Conflict { entry, actual } => {
            let StreamAppend { stream, expected, .. } = &append.streams[entry];
            Err(AppendError::Conflict {
                stream: stream.clone(),
                expected: *expected,
                actual,
            })
        }
    }
}

/// The error of an append that met `problem`.
pub(crate) fn failure(outcome: Outcome, problem: Problem, holder: Option<&str>, append: &Append) -> AppendError {
    match outcome {
        Outcome::Indeterminate => AppendError::Indeterminate {
            append: Box::new(AppendRef::of(append)),
            source: problem.while_doing("learn what became of an append"),
        },
        Outcome::BadValue => invalid(format!("PostgreSQL refuses it: {problem}")),
        Outcome::Repeat => StoreError::new(
            StoreErrorKind::Unavailable,
            "cannot append: writers that do not take the append lock were in the way, again and again; try again later",
        )
        .caused_by(problem)
        .into(),
        Outcome::NotCommitted => match holder {
            Some(holder) => StoreError::new(StoreErrorKind::Unavailable, format!("cannot append: {holder}"))
                .caused_by(problem)
                .into(),
            None => problem.while_doing("append").into(),
        },
    }
}

pub(crate) fn ended() -> StoreError {
    StoreError::new(
        StoreErrorKind::Closed,
        "the store was closed, or the runtime that it was opened on has ended: open it again",
    )
}
