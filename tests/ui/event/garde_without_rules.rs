use es_runtime::prelude::*;

#[event(garde)]
struct Opened {
    owner: String,
}

fn main() {}
