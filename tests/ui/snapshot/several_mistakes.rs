use es_runtime::prelude::*;

#[value]
#[derive(Aggregate)]
#[es(name = "board", snapshot(every = 0, after = "soon", version = "2"), id = u64)]
struct Board {
    name: String,
}

fn main() {}
