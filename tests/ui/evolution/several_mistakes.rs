use es_runtime::prelude::*;

#[event(version = 0, alias = "deposited", removed(note, since = 2))]
struct Deposited {
    #[event(added(since = 1, default = 0))]
    fee: u8,
    #[event(renamed(since = 2), change(from = u8))]
    amount: u64,
}

fn main() {}
