use es_runtime::store::CommitError;
use es_runtime::{StoreError, StoreErrorKind};
use tokio::sync::oneshot;

use super::writer::ProjectionWriter;
use crate::error::Problem;

/// Something for the writer to do in a transaction, beside appends.
pub(crate) trait Job: Send {
    /// Whether nobody waits for the answer.
    fn is_abandoned(&self) -> bool;

    /// Bytes that it brings along.
    fn size(&self) -> usize;

    /// About how many rows it writes.
    fn rows(&self) -> usize;

    /// Whether it must survive a loss of power once it is answered.
    fn must_last(&self) -> bool;

    /// Does it. A problem undoes the transaction; what is refused changes nothing. It may be run again after that.
    fn run(&mut self, writer: &mut ProjectionWriter<'_>) -> Result<(), Problem>;

    /// The transaction was committed: tells the caller what came of it.
    fn answer(self: Box<Self>);

    /// Nothing of it was done.
    fn fail(self: Box<Self>, error: StoreError);

    /// It is not known whether it was done.
    fn doubt(self: Box<Self>, error: StoreError);
}

/// An error that can say that an outcome is not known.
pub(crate) trait Doubt: From<StoreError> + Send {
    fn doubt(error: StoreError) -> Self;
}

impl Doubt for StoreError {
    fn doubt(error: StoreError) -> Self {
        error
    }
}

impl Doubt for CommitError {
    fn doubt(error: StoreError) -> Self {
        Self::Indeterminate(error)
    }
}

/// A [`Job`] whose caller waits for a `Result<T, E>`.
pub(crate) struct Awaited<F, T, E: Doubt> {
    work: F,
    size: usize,
    rows: usize,
    must_last: bool,
    outcome: Option<Result<T, E>>,
    reply: Option<oneshot::Sender<Result<T, E>>>,
}

impl<F, T, E: Doubt> Awaited<F, T, E>
where
    F: FnMut(&mut ProjectionWriter<'_>) -> Result<Result<T, E>, Problem> + Send,
    T: Send,
{
    /// With how many bytes it brings along, and how many rows it writes.
    pub(crate) fn new(size: usize, rows: usize, work: F) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (reply, answer) = oneshot::channel();
        let job = Self {
            work,
            size,
            rows,
            must_last: true,
            outcome: None,
            reply: Some(reply),
        };
        (job, answer)
    }

    /// The same, of which a loss of power may take what it wrote.
    pub(crate) fn that_may_be_lost(mut self) -> Self {
        self.must_last = false;
        self
    }
}

impl<F, T, E: Doubt> Awaited<F, T, E> {
    fn reply(&mut self, result: Result<T, E>) {
        if let Some(reply) = self.reply.take() {
            // The caller may have gone; what was done stays done.
            let _ = reply.send(result);
        }
    }
}

impl<F, T, E: Doubt> Job for Awaited<F, T, E>
where
    F: FnMut(&mut ProjectionWriter<'_>) -> Result<Result<T, E>, Problem> + Send,
    T: Send,
{
    fn is_abandoned(&self) -> bool {
        self.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn size(&self) -> usize {
        self.size
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn must_last(&self) -> bool {
        self.must_last
    }

    fn run(&mut self, writer: &mut ProjectionWriter<'_>) -> Result<(), Problem> {
        self.outcome = Some((self.work)(writer)?);
        Ok(())
    }

    fn answer(mut self: Box<Self>) {
        if let Some(outcome) = self.outcome.take() {
            self.reply(outcome);
        }
    }

    fn fail(mut self: Box<Self>, error: StoreError) {
        self.reply(Err(error.into()));
    }

    fn doubt(mut self: Box<Self>, error: StoreError) {
        self.reply(Err(E::doubt(error)));
    }
}

impl<F, T, E: Doubt> Drop for Awaited<F, T, E> {
    /// One that is dropped unanswered was in the hands of a writer that panicked.
    fn drop(&mut self) {
        if self.reply.is_some() {
            self.reply(Err(E::doubt(StoreError::new(
                StoreErrorKind::Closed,
                "the store's writer panicked: open the store again",
            ))));
        }
    }
}
