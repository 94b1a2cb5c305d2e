use es_runtime::prelude::*;

#[event(nam = "moved", name = "es.moved")]
enum Moved {
    In,
    Out,
}

fn main() {}
