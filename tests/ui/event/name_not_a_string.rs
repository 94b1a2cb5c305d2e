use es_runtime::prelude::*;

#[event(name = opened)]
struct Opened;

fn main() {}
