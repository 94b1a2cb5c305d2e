use es_runtime::prelude::*;

#[event(version = 2, removed(by: std::thread::ThreadId, since = 2))]
struct Deposited {
    amount: u64,
}

fn main() {}
