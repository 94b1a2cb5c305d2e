use es_runtime::prelude::*;

#[event(from = OpenedV1)]
struct Opened;

#[event(name = "opened")]
struct OpenedV1;

fn main() {}
