use std::thread::{Builder, JoinHandle};

use es_runtime::{StoreError, StoreErrorKind};
use tokio::sync::oneshot;

/// Starts a thread of the store.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, StoreError> {
    Builder::new()
        .name(format!("es-sqlite {name}"))
        .spawn(work)
        .map_err(|error| StoreError::new(StoreErrorKind::Unavailable, "cannot start a thread").caused_by(error))
}

/// Does on a thread what would hold up the caller's.
pub(crate) async fn aside<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    let (reply, answer) = oneshot::channel();
    spawn(name, move || {
        // The caller may have gone.
        let _ = reply.send(work());
    })?;
    answer
        .await
        .map_err(|_| StoreError::new(StoreErrorKind::Unavailable, format!("the thread `{name}` panicked")))
}
