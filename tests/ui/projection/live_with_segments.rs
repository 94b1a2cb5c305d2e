use es_runtime::prelude::*;

#[projection(live, segments = 4)]
pub struct Balance {
    cents: i64,
}

fn main() {}
