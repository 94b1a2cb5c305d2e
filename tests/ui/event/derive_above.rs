use es_runtime::prelude::*;

#[derive(Debug)]
#[event]
struct Opened;

fn main() {}
