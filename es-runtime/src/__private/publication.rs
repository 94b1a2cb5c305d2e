use std::fmt::Display;

use crate::{Aggregate, Meta};

/// The key that `#[publish(key = …)]` gives.
pub fn message_key<K: Display + ?Sized>(key: &K) -> String {
    key.to_string()
}

/// The key unless one is given.
pub fn key_of_stream<A: Aggregate>(meta: &Meta<A>) -> String {
    meta.stream().id().to_owned()
}
