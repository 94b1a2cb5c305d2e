use es_runtime::prelude::*;

#[value]
#[derive(Aggregate)]
#[es(snapshot(every = 0))]
struct Board {
    name: String,
}

fn main() {}
