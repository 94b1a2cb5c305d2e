use es_runtime::prelude::*;

#[projection(index = "cents")]
pub struct Balance {
    cents: i64,
}

fn main() {}
