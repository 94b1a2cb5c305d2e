use es_runtime::prelude::*;

#[event(version = 3, removed(fee: u8, since = 2, added(since = 3, default = 0)))]
struct Deposited;

fn main() {}
