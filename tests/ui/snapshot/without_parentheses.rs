use es_runtime::prelude::*;

#[value]
#[derive(Aggregate)]
#[es(snapshot = 100)]
struct Board {
    name: String,
}

fn main() {}
