use es_runtime::prelude::*;

#[projection(live, version = 2)]
pub struct Balance {
    cents: i64,
}

fn main() {}
