use std::path::PathBuf;

use crate::schema::{Additions, Aggregates, check_events_lock};

/// The environment variable that lets additions be written.
const VARIABLE: &str = "ES_EVENTS_LOCK";

/// Compares the lock file `file`, and its golden payloads, with the events of the aggregates `S`: a tuple of all that
/// the crate has.
///
/// A relative path begins at the folder of the crate's `Cargo.toml`. `ES_EVENTS_LOCK=accept` writes what was added to the
/// events. See [`schema`](crate::schema) for what is compared.
///
/// # Panics
///
/// If they differ; the message says which event, what has changed and what to write.
#[track_caller]
pub fn events_lock<S: Aggregates>(file: &str) {
    let additions = match std::env::var(VARIABLE) {
        Err(_) => Additions::Refuse,
        Ok(value) if value.is_empty() => Additions::Refuse,
        Ok(value) if value == "accept" => Additions::Accept,
        Ok(value) => panic!("`{VARIABLE}` is `{value}`: it is `accept`, or not set"),
    };
    // Cargo sets it for tests, which may have changed their folder since.
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    if let Err(error) = check_events_lock::<S>(PathBuf::from(folder).join(file), additions) {
        panic!("{error}");
    }
}
