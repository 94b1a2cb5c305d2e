use es_runtime::prelude::*;

#[derive(serde::Serialize)]
#[event]
struct Opened;

fn main() {}
