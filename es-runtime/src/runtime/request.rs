use uuid::Uuid;

use crate::store::IdempotencyKey;
use crate::{Invalid, Metadata, Timestamp};

/// The options that a sender sets on a request.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) key: Option<String>,
    pub(super) metadata: Metadata,
    /// Boxed, because it is rare, and moved with every request.
    invalid: Option<Box<Invalid>>,
}

/// Keys the fingerprints, so that they are equal only to fingerprints of this form.
const FINGERPRINT: Uuid = Uuid::from_u128(0x8d1f_6f0e_5a3b_4c1d_9e27_63a0_51c4_7b12);

impl Request {
    /// Returns a request with this metadata.
    pub(super) fn with(metadata: Metadata) -> Self {
        Self {
            metadata,
            ..Self::default()
        }
    }

    pub(super) fn set_traceparent(&mut self, traceparent: String) {
        if let Err(invalid) = self.metadata.set_traceparent(traceparent) {
            self.invalid = Some(Box::new(invalid));
        }
    }

    pub(super) fn set_occurred_at(&mut self, time: Timestamp) {
        self.metadata.set_occurred_at(time);
    }

    /// Refuses what the setters could not.
    pub(super) fn check(&mut self) -> Result<(), Invalid> {
        self.invalid.take().map_or(Ok(()), |invalid| Err(*invalid))
    }

    /// The idempotency key with the fingerprint of what is asked for.
    pub(super) fn key<E>(&self, content: impl FnOnce() -> Result<Vec<u8>, E>) -> Result<Option<IdempotencyKey>, E> {
        let Some(key) = &self.key else { return Ok(None) };
        Ok(Some(IdempotencyKey {
            key: key.clone(),
            fingerprint: Uuid::new_v5(&FINGERPRINT, &content()?),
        }))
    }
}

/// The setters of a builder with a field `request`.
macro_rules! request_setters {
    () => {
        crate::runtime::request::metadata_setters!();
        crate::runtime::request::occurred_at_setter!();

        /// Names the request: however often it is sent with this key, it takes effect once, and each time returns the
        /// first receipt. The key's scope is the whole store.
        pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
            self.request.key = Some(key.into());
            self
        }
    };
}

/// The setter of the time at which it happened.
macro_rules! occurred_at_setter {
    () => {
        /// Records with each event the time at which it happened, if that is not now.
        pub fn occurred_at(mut self, time: crate::Timestamp) -> Self {
            self.request.set_occurred_at(time);
            self
        }
    };
}

/// The setters of metadata.
macro_rules! metadata_setters {
    () => {
        /// Sets the actor who asks for it; recorded with each event.
        pub fn actor(mut self, actor: impl Into<String>) -> Self {
            self.request.metadata.set_actor(actor);
            self
        }

        /// Sets the id shared by everything that follows from one request; recorded with each event.
        pub fn correlation(mut self, id: impl ToString) -> Self {
            self.request.metadata.set_correlation_id(id.to_string());
            self
        }

        /// Sets the event or command that this follows from; recorded with each event.
        pub fn causation(mut self, id: impl ToString) -> Self {
            self.request.metadata.set_causation_id(id.to_string());
            self
        }

        /// Sets the W3C trace context of the request; recorded with each event. A malformed one is
        /// [`Invalid`](crate::ExecuteError::Invalid).
        pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
            self.request.set_traceparent(traceparent.into());
            self
        }

        /// Sets a free-form entry; recorded with each event.
        pub fn metadata(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
            self.request.metadata.set(name, value);
            self
        }

        /// Replaces all metadata recorded with each event: for senders that use the same for several requests.
        pub fn with_metadata(mut self, metadata: crate::Metadata) -> Self {
            self.request.metadata = metadata;
            self
        }
    };
}

pub(super) use {metadata_setters, occurred_at_setter, request_setters};
