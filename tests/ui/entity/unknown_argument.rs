use es_runtime::prelude::*;

#[entity(id = id, validate)]
struct Environment {
    id: String,
}

fn main() {}
