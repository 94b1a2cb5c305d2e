use es_runtime::prelude::*;

#[value]
#[derive(Aggregate)]
#[es(snapshot(every = "100"))]
struct Board {
    name: String,
}

fn main() {}
