use es_runtime::prelude::*;

#[projection(live, index = ["cents"])]
pub struct Balance {
    cents: i64,
}

fn main() {}
