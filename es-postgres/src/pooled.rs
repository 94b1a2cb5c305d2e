use std::ops::{Deref, DerefMut};

use deadpool_postgres::Object;

use crate::tls::Tls;

/// A connection of the pool, on loan. Only one on which nothing is under way is [given back](Self::give_back). Dropped before that,
/// because the answer did not come in time or nobody waits for it any more, it is closed and what it does is cancelled: the next reader
/// would wait for that.
pub(crate) struct Pooled<'a> {
    object: Option<Object>,
    tls: &'a Tls,
}

impl<'a> Pooled<'a> {
    pub(crate) fn new(object: Object, tls: &'a Tls) -> Self {
        Self {
            object: Some(object),
            tls,
        }
    }

    /// Everything that was asked on it is answered.
    pub(crate) fn give_back(mut self) {
        self.object = None;
    }
}

impl Deref for Pooled<'_> {
    type Target = Object;

    fn deref(&self) -> &Object {
        self.object
            .as_ref()
            .unwrap_or_else(|| unreachable!("it is taken at the end"))
    }
}

impl DerefMut for Pooled<'_> {
    fn deref_mut(&mut self) -> &mut Object {
        self.object
            .as_mut()
            .unwrap_or_else(|| unreachable!("it is taken at the end"))
    }
}

impl Drop for Pooled<'_> {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            self.tls.cancel(object.cancel_token());
            drop(Object::take(object));
        }
    }
}
