use es_runtime::prelude::*;

#[entity(id)]
struct Deployment {
    id: String,
}

fn main() {}
