use es_runtime::prelude::*;

#[event(version = 2, removed(note: String, since = 2, default = 0))]
struct Deposited {
    #[event(add(since = 2, default = 0))]
    fee: u8,
    #[event(added(in = 2, default = 0))]
    tip: u8,
}

fn main() {}
