use es_runtime::prelude::*;

#[event(version = 2)]
struct Deposited {
    #[event(renamed(from = "sum", since = 2), renamed(from = "total", since = 2))]
    amount: u64,
}

fn main() {}
