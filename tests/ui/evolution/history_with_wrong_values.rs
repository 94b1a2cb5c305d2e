use es_runtime::prelude::*;

#[event(version = 2)]
struct Deposited {
    #[event(added(since = "2", default = 0))]
    fee: u8,
    #[event(renamed(from = sum, since = 2))]
    amount: u64,
    #[event(changed(from = u8, since = 2, with = |old| u16::from(old)))]
    count: u16,
}

fn main() {}
