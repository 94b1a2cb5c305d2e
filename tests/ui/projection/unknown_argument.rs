use es_runtime::prelude::*;

#[projection(name = "balances", inlined)]
pub struct Balance {
    cents: i64,
}

fn main() {}
