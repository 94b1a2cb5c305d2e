use es_runtime::prelude::*;

#[event(name)]
struct Opened;

fn main() {}
