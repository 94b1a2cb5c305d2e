use es_runtime::prelude::*;

#[command(version = 2)]
struct Open;

fn main() {}
