use es_runtime::prelude::*;

#[event(version = 2, from = Opened)]
struct Opened;

fn main() {}
