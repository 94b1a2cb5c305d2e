use es_runtime::prelude::*;

#[event(version = 2)]
struct Deposited {
    #[event(renamed(from = "sum", since = 2))]
    amount: u64,
    #[event(added(since = 2, default = |sum| *sum))]
    total: u64,
    #[event(added(since = 2, default = |total| *total))]
    rest: u64,
    #[event(added(since = 2, default = |(a, b)| 1))]
    pair: u64,
}

fn main() {}
