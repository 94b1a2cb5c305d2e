//! Inline projections of the tests. They hold what [`totals::folded`](crate::totals::folded) gives, at each moment.

pub mod postgres;
pub mod sqlite;

use es_runtime::prelude::*;

/// The methods fail at amounts that bring bad luck.
#[derive(Debug, thiserror::Error)]
#[error("13 brings bad luck")]
pub struct BadLuck;

fn fails(amount: i64) -> Result<()> {
    match amount {
        13 => Err(BadLuck.into()),
        // Without the hook: with debug information the trace that it prints takes seconds.
        15 => std::panic::resume_unwind(Box::new("15 is too much")),
        _ => Ok(()),
    }
}
