use es_runtime::prelude::*;

#[message]
enum Told {
    Opened,
    Closed,
}

fn main() {}
