use es_runtime::prelude::*;

#[command(validate = "check")]
struct Open;

fn main() {}
