use es_runtime::prelude::*;

#[projection(name = "totals", memory, schema = "totals.sql")]
struct Totals;

fn main() {}
