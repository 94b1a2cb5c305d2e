use es_runtime::prelude::*;

#[entity(id = id)]
struct Deployment(String);

fn main() {}
