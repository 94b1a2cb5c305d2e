use es_runtime::prelude::*;

#[projection(name = "Balances of 2026")]
pub struct Balance {
    cents: i64,
}

fn main() {}
