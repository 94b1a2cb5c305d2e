use es_runtime::prelude::*;

#[event]
union Moved {
    to: u8,
}

fn main() {}
