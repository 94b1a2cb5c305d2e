//! Tests of the workspace as a user sees it, in `tests/`: what compiles, with which message it does not, and what it does.
//!
//! What the library itself holds stands in for a crate of somebody else.

use es_runtime::prelude::*;

/// An event of another crate.
#[event]
pub struct Shipped;

/// A command of another crate.
#[command]
pub struct Ship;

#[doc = include_str!("../../docs/by-hand.md")]
pub mod by_hand {}
