use es_runtime::prelude::*;

#[value]
struct Opened {
    owner: &'static str,
}

fn main() {}
