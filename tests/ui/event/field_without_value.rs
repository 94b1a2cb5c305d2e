use es_runtime::prelude::*;

struct Owner;

#[event]
struct Opened {
    owner: Owner,
}

fn main() {}
