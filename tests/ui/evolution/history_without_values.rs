use es_runtime::prelude::*;

#[event(version = 2, removed, removed(note), removed(note: String))]
struct Deposited {
    #[event(added)]
    fee: u8,
    #[event]
    tip: u8,
    #[event(added(since = 2))]
    text: String,
    #[event(renamed(since = 2))]
    amount: u64,
    #[event(changed(from = u8))]
    count: u16,
}

fn main() {}
