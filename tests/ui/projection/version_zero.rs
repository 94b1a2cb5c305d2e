use es_runtime::prelude::*;

#[projection(version = 0)]
pub struct Balance {
    cents: i64,
}

fn main() {}
