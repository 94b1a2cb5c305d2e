use es_runtime::prelude::*;

#[entity(id = id, version = 2)]
struct Environment {
    id: String,
    #[event(added(since = 2, default = 1))]
    zone: u8,
}

fn main() {}
