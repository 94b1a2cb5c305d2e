use es_runtime::prelude::*;

#[projection(name = "balances")]
pub struct Balance {
    cents: i64,
}

#[projection]
impl Balance {
    fn helper() {}
}

fn main() {}
