use es_runtime::prelude::*;

#[event(version = 2)]
struct Opened;

fn main() {}
