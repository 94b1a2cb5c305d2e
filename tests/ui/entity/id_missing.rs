use es_runtime::prelude::*;

#[entity(name = "deployment")]
struct Deployment {
    id: String,
}

fn main() {
    let repository = es_runtime::state::Entities::<Deployment>::new();
    let _ = repository.len();
}
