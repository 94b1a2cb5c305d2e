use es_runtime::prelude::*;

#[projection]
pub struct Balance<T> {
    cents: T,
}

fn main() {}
