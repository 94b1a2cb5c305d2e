use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use crate::{StoreError, StoreErrorKind};

/// Runs a part of a task's work. What it panics with becomes an error that says `what` panicked, so that the task lives on.
/// What the part has left half done must be made anew by whoever goes on.
pub(crate) async fn guarded<T, E: From<StoreError>>(
    what: &str,
    part: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    AssertUnwindSafe(part).catch_unwind().await.unwrap_or_else(|panic| {
        let message = format!("{what} panicked: {}", text_of(&*panic));
        Err(StoreError::new(StoreErrorKind::Unavailable, message).into())
    })
}

/// What a panic says.
pub(crate) fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a value that is no text".to_owned())
}
