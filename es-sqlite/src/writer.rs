use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use es_runtime::store::AppendSignalSource;
use es_runtime::{Clock, StoreError};
use rusqlite::Connection;

use crate::checkpoint::Checkpoints;
use crate::error::Problem;
use crate::health::Health;
use crate::options::Durability;
use crate::place::Place;
use crate::queue::Queue;
use crate::request::{Answer, Request};
use crate::transaction::{Failure, Transactions};

/// The most requests in one transaction. Each append of a chain counts.
pub(crate) const BATCH: usize = 1024;
/// The most bytes of payloads in one transaction, unless a single append has more.
pub(crate) const BATCH_BYTES: usize = 8 << 20;

/// The only thread that writes. What is requested while it commits goes into the next transaction together.
pub(crate) struct Writer {
    pub(crate) queue: Arc<Queue<Request>>,
    pub(crate) health: Arc<Health>,
    pub(crate) wakes: AppendSignalSource,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) checkpoints: Checkpoints,
    /// The durability of a commit that must last.
    pub(crate) durability: Durability,
    pub(crate) place: Place,
}

impl Writer {
    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self, connection: &Connection) {
        let mut transactions = Transactions::new(connection, self.durability);
        loop {
            let requests = self.next_batch();
            if requests.is_empty() {
                return;
            }
            match catch_unwind(AssertUnwindSafe(|| self.serve(&mut transactions, requests))) {
                Ok(written) => self.checkpoints.committed(written, connection, &self.health),
                Err(_) => {
                    // The requests answered for themselves when they were dropped.
                    self.health.fail("its writer panicked".to_owned());
                    transactions.abandon();
                }
            }
        }
    }

    /// Takes the waiting requests from the queue, within bounds; empty when the queue ends.
    fn next_batch(&self) -> Vec<Request> {
        let mut batch = Vec::new();
        let (mut count, mut bytes) = (0, 0);
        self.queue.pop_batch(&mut batch, |request| {
            count += request.count();
            bytes += request.size();
            count <= BATCH && bytes <= BATCH_BYTES
        });
        batch
    }

    /// Does the requests and answers them. Returns how many events and rows were written.
    fn serve(&self, transactions: &mut Transactions<'_>, mut requests: Vec<Request>) -> usize {
        if self.health.has_failed() {
            fail(requests, || self.health.error());
            return 0;
        }
        requests.retain(|request| !request.is_abandoned());
        if requests.is_empty() {
            return 0;
        }
        match transactions.run(&mut requests, &*self.clock) {
            Ok(answers) => self.answer(requests, answers),
            Err(Failure::Undone(_)) if requests.len() > 1 => requests
                .into_iter()
                .map(|request| self.serve(transactions, vec![request]))
                .sum(),
            Err(Failure::NotBegun(problem) | Failure::Undone(problem)) => {
                fail(requests, || self.error(problem.clone()));
                0
            }
            Err(Failure::InDoubt(problem)) => {
                self.health.fail(format!("a commit failed ({problem})"));
                transactions.abandon();
                doubt(requests, || self.error(problem.clone()));
                0
            }
        }
    }

    fn answer(&self, requests: Vec<Request>, answers: Vec<Answer>) -> usize {
        if let Some(lost) = self.place.lost() {
            // The writes are in a file that nobody will open again.
            let lost = lost.display();
            self.health
                .fail(format!("its file `{lost}` was removed or replaced while it was open"));
        }
        if self.health.has_failed() {
            // A checkpoint could not be flushed meanwhile: then this flush is not believed either.
            doubt(requests, || self.health.error());
            return 0;
        }
        let written = answers.iter().map(Answer::written).sum();
        if let Some(head) = answers.iter().filter_map(Answer::head).max() {
            self.wakes.wake(head);
        }
        for (request, answer) in requests.into_iter().zip(answers) {
            request.answer(answer);
        }
        written
    }

    fn error(&self, problem: Problem) -> StoreError {
        problem.while_doing("write to", self.health.path())
    }
}

/// Nothing of the requests was done.
fn fail(requests: Vec<Request>, error: impl Fn() -> StoreError) {
    for request in requests {
        request.fail(error());
    }
}

/// It is not known whether they were done.
fn doubt(requests: Vec<Request>, error: impl Fn() -> StoreError) {
    for request in requests {
        request.doubt(error());
    }
}
