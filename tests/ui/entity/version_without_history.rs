use es_runtime::prelude::*;

#[entity(id = id, version = 2)]
struct Environment {
    id: String,
}

fn main() {}
