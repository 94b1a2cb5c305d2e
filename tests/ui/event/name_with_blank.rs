use es_runtime::prelude::*;

#[event(name = "account opened")]
struct Opened;

fn main() {}
