use es_runtime::prelude::*;

pub struct Cents(i64);

#[projection]
pub struct Balance {
    cents: Cents,
}

fn main() {}
