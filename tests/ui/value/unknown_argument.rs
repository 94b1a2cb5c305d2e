use es_runtime::prelude::*;

#[value(name = "owner")]
struct Owner;

fn main() {}
