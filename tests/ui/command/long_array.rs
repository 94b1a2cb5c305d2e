use es_runtime::prelude::*;

#[command]
struct Opened {
    digest: [u8; 33],
}

fn main() {}
