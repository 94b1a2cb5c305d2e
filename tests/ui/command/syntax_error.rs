use es_runtime::prelude::*;

#[command]
struct Opened {
    owner: ,
}

fn main() {}
