use es_runtime::prelude::*;

#[entity(id = id)]
struct Environment {
    id: String,
    #[entity(added(since = 2, default = 1))]
    zone: u8,
}

fn main() {}
