use es_runtime::prelude::*;

#[projection(memory, version = 2)]
pub struct Balance {
    cents: i64,
}

fn main() {}
