use es_runtime::prelude::*;

#[projection(name = "totals", schema = "nowhere.sql")]
pub struct Totals;

fn main() {}
