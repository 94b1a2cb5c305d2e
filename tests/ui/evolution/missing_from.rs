use es_runtime::prelude::*;

#[event(version = 2, from = OpenedV1)]
struct Opened;

#[event(name = "opened")]
struct OpenedV1;

fn main() {}
