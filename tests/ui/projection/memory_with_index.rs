use es_runtime::prelude::*;

#[projection(index = ["cents"], memory)]
pub struct Balance {
    cents: i64,
}

fn main() {}
