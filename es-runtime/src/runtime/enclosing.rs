//! The transactions in whose closures a task is.

use std::sync::{Arc, Mutex, PoisonError};

use super::Runtime;
use crate::{ExecuteError, StreamId};

tokio::task_local! {
    static ENCLOSING: Arc<Enclosing>;
}

/// A transaction whose closure runs.
pub(super) struct Enclosing {
    runtime: Runtime,
    /// The streams that take part in it so far.
    streams: Mutex<Vec<StreamId>>,
    /// The transaction in whose closure it began.
    outer: Option<Arc<Enclosing>>,
}

impl Enclosing {
    pub(super) fn new(runtime: &Runtime) -> Arc<Self> {
        Arc::new(Self {
            runtime: runtime.clone(),
            streams: Mutex::default(),
            outer: ENCLOSING.try_with(Arc::clone).ok(),
        })
    }

    /// Runs the closure of the transaction. Tasks that it spawns are not within it: they are writers like any other.
    pub(super) async fn run<F: Future>(self: &Arc<Self>, closure: F) -> F::Output {
        ENCLOSING.scope(Arc::clone(self), closure).await
    }

    /// Notes that the stream takes part.
    ///
    /// # Errors
    ///
    /// If it takes part in a transaction around this one, which would then always meet a conflict.
    pub(super) fn take<R>(&self, stream: &StreamId) -> Result<(), ExecuteError<R>> {
        self.outer
            .as_deref()
            .map_or(Ok(()), |outer| outer.refuse(&self.runtime, stream))?;
        self.streams().push(stream.clone());
        Ok(())
    }

    fn refuse<R>(&self, runtime: &Runtime, stream: &StreamId) -> Result<(), ExecuteError<R>> {
        if Arc::ptr_eq(&self.runtime.0, &runtime.0) && self.streams().contains(stream) {
            return Err(ExecuteError::InTransaction { stream: stream.clone() });
        }
        self.outer
            .as_deref()
            .map_or(Ok(()), |outer| outer.refuse(runtime, stream))
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, Vec<StreamId>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses a write without the transaction to a stream that takes part in it: it would be stored, and the transaction
/// then meet a conflict, at each attempt.
pub(super) fn check<R>(runtime: &Runtime, stream: &StreamId) -> Result<(), ExecuteError<R>> {
    ENCLOSING
        .try_with(|enclosing| enclosing.refuse(runtime, stream))
        .unwrap_or(Ok(()))
}
