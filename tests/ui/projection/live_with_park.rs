use es_runtime::prelude::*;

#[projection(live, park)]
pub struct Balance {
    cents: i64,
}

fn main() {}
