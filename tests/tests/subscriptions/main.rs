//! Subscriptions, on every store.

mod bounds;
mod cursors_elsewhere;
mod handlers;
mod handlers_at_once;
mod handlers_killed;
mod streams;
