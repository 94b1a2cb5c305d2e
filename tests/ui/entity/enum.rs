use es_runtime::prelude::*;

#[entity(id = id)]
enum Environment {
    Prod { id: String },
}

fn main() {}
