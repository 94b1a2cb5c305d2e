use es_runtime::prelude::*;

#[event(version = 4)]
struct Deposited {
    #[event(added(since = 2, default = 0))]
    fee: u8,
    #[event(added(since = 4, default = 0))]
    tip: u8,
}

fn main() {}
