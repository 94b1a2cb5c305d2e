use es_runtime::prelude::*;

#[event(name = "opened", name = "opened-again")]
struct Opened;

fn main() {}
