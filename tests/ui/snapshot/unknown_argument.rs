use es_runtime::prelude::*;

#[value]
#[derive(Aggregate)]
#[es(snapshot(each = 100))]
struct Board {
    name: String,
}

fn main() {}
