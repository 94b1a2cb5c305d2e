use es_runtime::prelude::*;

#[message]
#[event]
struct Opened {
    owner: String,
}

fn main() {
    drop(Opened { owner: String::new() });
}
