use es_runtime::prelude::*;

#[projection(segments = 65)]
pub struct Balance {
    cents: i64,
}

fn main() {}
