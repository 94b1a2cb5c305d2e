use es_runtime::prelude::*;

#[event(version = 0)]
struct Opened;

fn main() {}
