use es_runtime::prelude::*;

#[event(version = 2, try_from = OpenedV1)]
struct Opened;

#[event(name = "opened")]
struct OpenedV1;

fn main() {}
