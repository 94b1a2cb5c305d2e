use es_runtime::prelude::*;

#[event]
struct Opened {
    owner: &'static str,
}

fn main() {}
