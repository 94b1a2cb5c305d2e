use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use es_runtime::StoreError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::error::Problem;
use crate::health::Health;
use crate::queue::Queue;
use crate::reader::Reader;

/// What a reading thread does next. It answers for itself.
pub(crate) type Job = Box<dyn FnOnce(&mut Reader<'_>) + Send>;

/// Threads that read, each with its own connection.
///
/// A connection never leaves its thread, so that no error, no panic and no caller that goes away can lose it.
#[derive(Clone)]
pub(crate) struct Pool {
    jobs: Arc<Queue<Job>>,
    health: Arc<Health>,
}

impl Pool {
    pub(crate) fn new(health: Arc<Health>) -> Self {
        Self {
            jobs: Arc::new(Queue::new()),
            health,
        }
    }

    /// What one of the threads does, until the pool is closed.
    pub(crate) fn serve(&self, connection: &Connection) {
        let mut reader = Reader::new(connection);
        while let Some(job) = self.jobs.pop() {
            // The caller learns of a panic by its answer, which is dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| job(&mut reader)));
        }
    }

    /// Reads on one of the threads.
    pub(crate) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send + 'static,
    {
        self.begin(read).result().await
    }

    /// Has one of the threads begin to read.
    pub(crate) fn begin<T, F>(&self, read: F) -> Begun<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send + 'static,
    {
        let health = Arc::clone(&self.health);
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move |reader: &mut Reader<'_>| {
            if !reply.is_closed() {
                let _ = reply.send(read(reader));
            }
        });
        let pushed = health
            .check()
            .and_then(|()| self.jobs.push(job).map_err(|_| health.error()));
        Begun {
            answer: pushed.map(|()| answer),
            health,
        }
    }

    /// Lets the threads end once they have done what is waiting.
    pub(crate) fn close(&self) {
        self.jobs.close();
    }
}

/// What is being read. The thread does not begin with it any more once this is dropped.
pub(crate) struct Begun<T> {
    answer: Result<oneshot::Receiver<Result<T, Problem>>, StoreError>,
    health: Arc<Health>,
}

impl<T> Begun<T> {
    pub(crate) async fn result(self) -> Result<T, StoreError> {
        let path = self.health.path();
        match self.answer?.await {
            Ok(outcome) => outcome.map_err(|problem| problem.while_doing("read", path)),
            Err(_) => Err(Problem::Damaged("reading panicked".to_owned()).while_doing("read", path)),
        }
    }
}
