use es_runtime::prelude::*;

#[event]
struct Opened {
    owner: (&'static str, &'static [u8]),
}

fn main() {}
