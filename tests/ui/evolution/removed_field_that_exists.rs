use es_runtime::prelude::*;

#[event(version = 2, removed(note: String, since = 2))]
struct Deposited {
    amount: u64,
    note: String,
}

fn main() {}
