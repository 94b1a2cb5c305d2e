use es_runtime::prelude::*;

#[command]
struct Opened
where
    String: Clone,
{
    owner: String,
}

fn main() {}
