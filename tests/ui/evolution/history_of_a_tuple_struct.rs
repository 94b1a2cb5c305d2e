use es_runtime::prelude::*;

#[event(version = 2)]
struct Deposited(u64, #[event(added(since = 2, default = 0))] u8);

fn main() {}
