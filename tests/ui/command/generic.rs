use es_runtime::prelude::*;

#[command]
struct Move<T> {
    to: T,
}

fn main() {}
