use es_runtime::prelude::*;

#[event]
struct Deposited {
    #[event(added(since = 2, default = 0))]
    fee: u8,
}

fn main() {}
