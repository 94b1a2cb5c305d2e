use es_runtime::prelude::*;

#[event]
struct Opened {
    digests: Vec<[u8; 64]>,
}

fn main() {}
