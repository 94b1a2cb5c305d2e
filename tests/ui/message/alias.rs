use es_runtime::prelude::*;

#[message(name = "com.bank.opened", alias = "opened")]
struct Opened {
    owner: String,
}

fn main() {
    drop(Opened { owner: String::new() });
}
