use es_runtime::prelude::*;

#[event]
struct Opened<'a> {
    owner: &'a str,
}

fn main() {}
