use es_runtime::prelude::*;

#[event("opened")]
struct Opened;

fn main() {}
