use es_runtime::prelude::*;

#[event(version = 2)]
struct Deposited {
    #[event(added(since = 1, default = 0))]
    fee: u8,
}

fn main() {}
