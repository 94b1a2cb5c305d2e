use es_runtime::prelude::*;

#[event]
enum Moved {
    In,
    Out,
}

fn main() {}
