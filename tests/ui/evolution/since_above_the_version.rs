use es_runtime::prelude::*;

#[event(version = 2)]
struct Deposited {
    #[event(added(since = 2, default = 0))]
    fee: u8,
    #[event(renamed(from = "sum", since = 3))]
    amount: u64,
}

fn main() {}
