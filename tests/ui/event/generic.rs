use es_runtime::prelude::*;

#[event]
struct Moved<T> {
    to: T,
}

fn main() {}
