use es_runtime::prelude::*;

#[command(garde)]
struct Open {
    owner: String,
}

fn main() {}
