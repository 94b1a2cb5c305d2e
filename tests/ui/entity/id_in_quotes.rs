use es_runtime::prelude::*;

#[entity(id = "id")]
struct Deployment {
    id: String,
}

fn main() {}
