use std::borrow::Cow;

use es_runtime::projection::sql::InlineSteps;
use es_runtime::store::{Append, AppendError, AppendRef, Appended, InlineError, InlineRows, RestoreAppendError};
use es_runtime::{AppendId, Metadata, Position, StoreError, StoreErrorKind};
use tokio::sync::oneshot;

use crate::archive::RestoreRequest;
use crate::projections::{Job, SqliteTransaction};

/// A caller's request to the writer.
pub(crate) enum Request {
    Append(AppendRequest),
    Restore(RestoreRequest),
    Resolve(ResolveRequest),
    Job(Box<dyn Job>),
}

/// The writer's answer.
pub(crate) enum Answer {
    /// Up to the first that was not stored now.
    Append(Vec<Result<Appended, InlineError>>),
    Restore(Result<Vec<Appended>, RestoreAppendError>),
    Resolve(Result<Option<Appended>, StoreError>),
    /// The job has it itself.
    Job {
        rows: usize,
    },
}

impl Answer {
    /// The position of the last event that was stored for it, if any was.
    pub(crate) fn head(&self) -> Option<Position> {
        self.stored().filter_map(Appended::head).max()
    }

    /// Returns the number of events or rows written for it.
    pub(crate) fn written(&self) -> usize {
        match self {
            Self::Job { rows } => *rows,
            answer => answer
                .stored()
                .flat_map(|appended| &appended.streams)
                .map(|part| part.events)
                .sum(),
        }
    }

    /// The appends that were stored now.
    fn stored(&self) -> impl Iterator<Item = &Appended> {
        let (answers, restored) = match self {
            Self::Append(answers) => (&answers[..], &[][..]),
            Self::Restore(Ok(restored)) => (&[][..], &restored[..]),
            Self::Restore(Err(_)) | Self::Resolve(_) | Self::Job { .. } => (&[][..], &[][..]),
        };
        let answered = answers.iter().flatten().chain(restored);
        answered.filter(|appended| !appended.repeated)
    }
}

impl Request {
    /// Returns whether nobody waits for the answer: then work that has not begun need not be done.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Self::Append(request) => request.reply.as_ref().is_none_or(oneshot::Sender::is_closed),
            Self::Restore(request) => request.is_abandoned(),
            Self::Resolve(request) => request.reply.is_closed(),
            Self::Job(job) => job.is_abandoned(),
        }
    }

    /// Returns the number of requests that it counts as.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Append(request) => request.chain.len(),
            Self::Restore(request) => request.appends.len(),
            Self::Resolve(_) | Self::Job(_) => 1,
        }
    }

    /// Bytes that it brings along.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Append(request) => request.chain.iter().map(|encoded| size(&encoded.append)).sum(),
            Self::Restore(request) => request
                .appends
                .iter()
                .map(|restored| size(&restored.encoded.append))
                .sum(),
            Self::Resolve(_) => 0,
            Self::Job(job) => job.size(),
        }
    }

    /// Returns whether it must survive a loss of power once it has been answered.
    pub(crate) fn must_last(&self) -> bool {
        match self {
            Self::Append(_) | Self::Restore(_) | Self::Resolve(_) => true,
            Self::Job(job) => job.must_last(),
        }
    }

    pub(crate) fn answer(self, answer: Answer) {
        match (self, answer) {
            (Self::Append(request), Answer::Append(answers)) => request.answer(answers),
            (Self::Restore(request), Answer::Restore(answer)) => request.answer(answer.map(drop)),
            (Self::Resolve(request), Answer::Resolve(answer)) => request.answer(answer),
            (Self::Job(job), Answer::Job { .. }) => job.answer(),
            _ => unreachable!("an answer is made for its request"),
        }
    }

    /// Nothing of it was done.
    pub(crate) fn fail(self, error: StoreError) {
        match self {
            Self::Append(request) => request.fail(error),
            Self::Restore(request) => request.answer(Err(error.into())),
            Self::Resolve(request) => request.answer(Err(error)),
            Self::Job(job) => job.fail(error),
        }
    }

    /// It is not known whether it was done.
    pub(crate) fn doubt(self, error: StoreError) {
        match self {
            Self::Append(request) => request.doubt(error),
            Self::Restore(request) => request.answer(Err(RestoreAppendError::Indeterminate(error))),
            Self::Resolve(request) => request.answer(Err(error)),
            Self::Job(job) => job.doubt(error),
        }
    }
}

/// Bytes that an append brings along.
pub(crate) fn size(append: &Append) -> usize {
    let events = append.events();
    events.map(|event| event.payload.len() + event.metadata.size()).sum()
}

/// An append with the metadata of each event in its stored form, made where it does not hold up the writer.
pub(crate) struct Encoded {
    pub(crate) append: Append,
    pub(crate) metadata: Vec<Cow<'static, str>>,
}

impl From<Append> for Encoded {
    fn from(append: Append) -> Self {
        let metadata = append.events().map(|event| metadata_json(&event.metadata)).collect();
        Self { append, metadata }
    }
}

/// Appends that were not done, and why.
pub(crate) struct NotDone {
    pub(crate) appends: Vec<Append>,
    pub(crate) error: StoreError,
}

/// The answers to appends, up to the first that was not stored now.
pub(crate) type Answers = Result<Vec<Result<Appended, InlineError>>, NotDone>;

/// The work of inline projections.
#[derive(Default)]
pub(crate) struct Inline {
    pub(crate) steps: Vec<InlineSteps<SqliteTransaction<'static>>>,
    pub(crate) rows: Vec<InlineRows>,
}

impl Inline {
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.rows.is_empty()
    }
}

/// Appends whose caller waits: one, or a chain.
pub(crate) struct AppendRequest {
    /// Each is done only if the one before it was stored now. Never empty.
    pub(crate) chain: Vec<Encoded>,
    /// Goes with the only append.
    pub(crate) inline: Inline,
    reply: Option<oneshot::Sender<Answers>>,
}

impl AppendRequest {
    pub(crate) fn new(chain: Vec<Encoded>, inline: Inline) -> (Self, oneshot::Receiver<Answers>) {
        let (reply, answer) = oneshot::channel();
        let request = Self {
            chain,
            inline,
            reply: Some(reply),
        };
        (request, answer)
    }

    fn answer(mut self, answers: Vec<Result<Appended, InlineError>>) {
        self.reply(Ok(answers));
    }

    fn fail(mut self, error: StoreError) {
        let chain = std::mem::take(&mut self.chain);
        let appends = chain.into_iter().map(|encoded| encoded.append).collect();
        self.reply(Err(NotDone { appends, error }));
    }

    /// The first append may be stored, and those behind it.
    fn doubt(mut self, source: StoreError) {
        let append = Box::new(AppendRef::of(&self.chain[0].append));
        self.reply(Ok(vec![Err(AppendError::Indeterminate { append, source }.into())]));
    }

    fn reply(&mut self, answers: Answers) {
        if let Some(reply) = self.reply.take() {
            // The caller may have gone; what was done stays done.
            let _ = reply.send(answers);
        }
    }
}

/// The usual metadata is none, and need not be made for each event.
fn metadata_json(metadata: &Metadata) -> Cow<'static, str> {
    if metadata.is_empty() {
        Cow::Borrowed("{}")
    } else {
        Cow::Owned(metadata.to_json())
    }
}

impl Drop for AppendRequest {
    /// A request that is dropped unanswered was in the hands of a writer that panicked.
    fn drop(&mut self) {
        if self.reply.is_some() {
            let append = Box::new(AppendRef::of(&self.chain[0].append));
            let source = StoreError::new(
                StoreErrorKind::Closed,
                "the store's writer panicked: open the store again",
            );
            self.reply(Ok(vec![Err(AppendError::Indeterminate { append, source }.into())]));
        }
    }
}

/// A question for an append whose outcome is in doubt.
pub(crate) struct ResolveRequest {
    pub(crate) append: AppendId,
    reply: oneshot::Sender<Result<Option<Appended>, StoreError>>,
}

impl ResolveRequest {
    pub(crate) fn new(append: AppendId) -> (Self, oneshot::Receiver<Result<Option<Appended>, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (Self { append, reply }, answer)
    }

    fn answer(self, answer: Result<Option<Appended>, StoreError>) {
        let _ = self.reply.send(answer);
    }
}
