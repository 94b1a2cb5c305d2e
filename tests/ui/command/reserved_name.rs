use es_runtime::prelude::*;

#[command(name = "es.open")]
struct Open;

fn main() {}
