//! Stands in for a crate of somebody else, whose events and commands are not ours to handle.

use es_runtime::prelude::*;

/// An event of another crate.
#[event]
pub struct Shipped;

/// A command of another crate.
#[command]
pub struct Ship;
