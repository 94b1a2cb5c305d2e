use es_runtime::prelude::*;

#[projection(name = "balances")]
pub struct Balance {
    cents: i64,
}

#[projection]
impl Default for Balance {
    fn default() -> Self {
        Balance { cents: 0 }
    }
}

fn main() {}
