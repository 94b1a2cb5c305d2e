use es_runtime::prelude::*;

#[entity(id = id)]
#[event]
struct Environment {
    id: String,
}

fn main() {}
