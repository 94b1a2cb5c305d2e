use es_runtime::prelude::*;

#[command(validate)]
struct Open;

fn main() {}
