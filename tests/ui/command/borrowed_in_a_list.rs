use es_runtime::prelude::*;

#[command]
struct Opened {
    owners: Vec<&'static str>,
}

fn main() {}
