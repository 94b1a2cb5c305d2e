use es_runtime::prelude::*;
use es_runtime::state::Changes;

#[event]
struct Opened {
    id: String,
}

fn main() {
    let _ = Changes::of("a").create(&Opened { id: String::new() });
}
