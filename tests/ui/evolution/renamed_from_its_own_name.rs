use es_runtime::prelude::*;

#[event(version = 2)]
struct Deposited {
    #[event(renamed(from = "amount", since = 2))]
    amount: u64,
}

fn main() {}
