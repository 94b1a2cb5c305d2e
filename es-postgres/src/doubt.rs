//! Sessions that may still do what was sent to them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::backend::Backend;

/// The sessions of which it is not known what they did, each until it is known to have ended.
#[derive(Clone, Default)]
pub(crate) struct Doubtful(Arc<Mutex<Vec<Backend>>>);

impl Doubtful {
    pub(crate) fn add(&self, backend: Backend) {
        self.sessions().push(backend);
    }

    /// Takes out a session that has ended.
    pub(crate) fn forget(&self, backend: &Backend) {
        self.sessions().retain(|other| other != backend);
    }

    pub(crate) fn all(&self) -> Vec<Backend> {
        self.sessions().clone()
    }

    /// Adds this session if the guard is dropped before it is [heard](Unheard::heard).
    pub(crate) fn unless_heard<'a>(&'a self, backend: &'a Backend) -> Unheard<'a> {
        Unheard {
            doubtful: self,
            backend: Some(backend),
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<Backend>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session to which something was sent, and that has not answered yet.
pub(crate) struct Unheard<'a> {
    doubtful: &'a Doubtful,
    backend: Option<&'a Backend>,
}

impl Unheard<'_> {
    /// The caller goes on to judge the answer, or the lack of it.
    pub(crate) fn heard(mut self) {
        self.backend = None;
    }
}

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        if let Some(backend) = self.backend {
            self.doubtful.add(backend.clone());
        }
    }
}
