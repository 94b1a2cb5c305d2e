use es_runtime::prelude::*;

#[event(alias = "created", alias = "created")]
struct Opened;

fn main() {}
