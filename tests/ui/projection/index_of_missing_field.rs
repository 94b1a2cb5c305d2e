use es_runtime::prelude::*;

#[projection(index = ["owner.name", "cents"])]
pub struct Balance {
    cents: i64,
}

fn main() {}
