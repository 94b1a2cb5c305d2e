//! Runtimes that outlive the tokio runtime on which their tasks run.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::future::BoxFuture;
use tokio::task::JoinHandle;

use crate::{StoreError, StoreErrorKind};

/// Spawns a task, and has `cut_off` called if it is dropped before its end, as happens to each task of a tokio runtime
/// that ends.
pub(crate) fn spawn(
    task: impl Future<Output = ()> + Send + 'static,
    cut_off: impl FnOnce() + Send + Unpin + 'static,
) -> JoinHandle<()> {
    tokio::spawn(Watched {
        end: End(Some(cut_off)),
        task: Box::pin(task),
    })
}

/// The error of everything that a task was to do that has been cut off.
pub(crate) fn ended() -> StoreError {
    StoreError::new(
        StoreErrorKind::Closed,
        "the tokio runtime on which this `Runtime` was started has ended, and its projections and subscriptions with it: start it \
         again, on a tokio runtime that lasts as long",
    )
}

struct Watched<F: FnOnce()> {
    /// Dropped before the task, so that anyone woken by the end of the task knows of it.
    end: End<F>,
    task: BoxFuture<'static, ()>,
}

struct End<F: FnOnce()>(Option<F>);

impl<F: FnOnce() + Unpin> Future for Watched<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        ready!(self.task.as_mut().poll(context));
        self.end.0 = None;
        Poll::Ready(())
    }
}

impl<F: FnOnce()> Drop for End<F> {
    fn drop(&mut self) {
        if let Some(cut_off) = self.0.take() {
            cut_off();
        }
    }
}
