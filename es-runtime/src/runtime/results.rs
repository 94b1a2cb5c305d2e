use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;

/// A stream of results, read as they are asked for: with [`next`](Self::next), or as any other [`Stream`].
#[must_use = "nothing is read until `next` is called"]
pub struct Results<'a, T, E>(BoxStream<'a, Result<T, E>>);

impl<'a, T, E> Results<'a, T, E> {
    pub(crate) fn new(stream: impl Stream<Item = Result<T, E>> + Send + 'a) -> Self {
        Self(Box::pin(stream))
    }

    /// The next item; `Ok(None)` after the last.
    ///
    /// # Errors
    ///
    /// If it cannot be read; nothing comes after it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no item.
    pub async fn next(&mut self) -> Result<Option<T>, E> {
        self.0.next().await.transpose()
    }
}

impl<T, E> Stream for Results<'_, T, E> {
    type Item = Result<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}
