use es_runtime::prelude::*;

#[command]
enum Move {
    In,
    Out,
}

fn main() {}
