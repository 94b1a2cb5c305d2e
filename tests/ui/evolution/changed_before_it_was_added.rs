use es_runtime::prelude::*;

#[event(version = 3)]
struct Deposited {
    #[event(changed(since = 2, from = u8), added(since = 3, default = 0))]
    fee: u16,
}

fn main() {}
