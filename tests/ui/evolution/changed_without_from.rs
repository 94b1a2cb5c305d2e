use es_runtime::prelude::*;

#[event(version = 2)]
struct Deposited {
    #[event(changed(since = 2, from = u64))]
    amount: u32,
}

fn main() {}
