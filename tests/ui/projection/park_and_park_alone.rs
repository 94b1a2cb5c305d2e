use es_runtime::prelude::*;

#[projection(name = "balances", park, park_alone)]
pub struct Balance {
    cents: i64,
}

fn main() {}
