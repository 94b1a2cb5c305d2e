use es_runtime::prelude::*;

#[projection(segments = 0)]
pub struct Balance {
    cents: i64,
}

fn main() {}
