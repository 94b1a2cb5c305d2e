use es_runtime::prelude::*;

#[event(version = 2)]
struct Deposited {
    #[event(changed(since = 2, from = u64, with = halve))]
    amount: u32,
}

fn halve(amount: u64) -> u64 {
    amount / 2
}

fn main() {}
