use es_runtime::prelude::*;

#[event(version = 2)]
struct Deposited {
    sum: u64,
    #[event(renamed(from = "sum", since = 2))]
    amount: u64,
}

fn main() {}
