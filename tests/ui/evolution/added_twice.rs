use es_runtime::prelude::*;

#[event(version = 3)]
struct Deposited {
    #[event(added(since = 2, default = 0), added(since = 3, default = 1))]
    fee: u8,
}

fn main() {}
