use es_runtime::prelude::*;

#[value]
fn owner() {}

fn main() {}
