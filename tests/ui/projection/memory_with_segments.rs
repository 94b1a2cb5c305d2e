use es_runtime::prelude::*;

#[projection(memory, segments = 4)]
pub struct Balance {
    cents: i64,
}

fn main() {}
