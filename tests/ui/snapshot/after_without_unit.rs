use es_runtime::prelude::*;

#[value]
#[derive(Aggregate)]
#[es(snapshot(after = "50"))]
struct Board {
    name: String,
}

fn main() {}
