use es_runtime::prelude::*;

#[event(version = 2)]
struct Deposited {
    amount: u64,
    #[event(added(since = 2, default = "counter"))]
    channel: u8,
    #[event(added(since = 2, default = |amount| amount.to_string()))]
    text: u8,
}

fn main() {}
