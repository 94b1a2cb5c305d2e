use es_runtime::prelude::*;

#[projection(memory, live)]
pub struct Balance {
    cents: i64,
}

fn main() {}
