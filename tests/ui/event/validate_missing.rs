use es_runtime::prelude::*;

#[event(validate)]
struct Opened;

fn main() {}
