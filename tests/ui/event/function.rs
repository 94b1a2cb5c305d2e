use es_runtime::prelude::*;

#[event]
struct Opened {
    check: fn(u8) -> bool,
}

fn main() {}
