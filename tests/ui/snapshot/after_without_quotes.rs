use es_runtime::prelude::*;

#[value]
#[derive(Aggregate)]
#[es(snapshot(every = 100, after = 50))]
struct Board {
    name: String,
}

fn main() {}
