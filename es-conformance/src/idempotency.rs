//! D: idempotency and unknown outcomes.

use es_runtime::store::IdempotencyKey;
use uuid::Uuid;

/// The key `key` of a request with the content number `content`.
pub(crate) fn key(key: &str, content: u128) -> IdempotencyKey {
    IdempotencyKey {
        key: key.to_owned(),
        fingerprint: Uuid::from_u128(content),
    }
}
