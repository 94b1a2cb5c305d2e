use es_runtime::prelude::*;

#[derive(Aggregate)]
#[es(snapshot(every = 100))]
struct Board {
    name: String,
}

fn main() {}
