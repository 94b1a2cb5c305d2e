use es_runtime::prelude::*;

#[entity(id = factor)]
struct Scale {
    factor: f64,
}

fn main() {}
