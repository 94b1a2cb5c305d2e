use es_runtime::prelude::*;

#[event]
struct Überwiesen;

fn main() {}
