use es_runtime::prelude::*;

#[event(nam = "opened")]
struct Opened;

fn main() {}
