use es_runtime::prelude::*;

#[event(alias = "opened")]
struct Opened;

fn main() {}
