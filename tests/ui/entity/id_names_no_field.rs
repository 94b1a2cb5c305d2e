use es_runtime::prelude::*;

#[entity(id = ident)]
struct Deployment {
    id: String,
    name: String,
}

fn main() {}
