use es_runtime::prelude::*;

#[event(name = "es.opened")]
struct Opened;

fn main() {}
