use es_runtime::prelude::*;

#[projection(name = "totals", schema = "totals.sql", index = ["cents"])]
pub struct Totals {
    cents: i64,
}

fn main() {}
