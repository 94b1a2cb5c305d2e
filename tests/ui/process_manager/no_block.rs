use es_runtime::prelude::*;
use es_tests::bank::Account;

#[process_manager(id = Id<Account>)]
pub struct Welcome {
    cents: i64,
}

fn start() {
    let _ = Runtime::builder(MemoryStore::new()).process_manager::<Welcome>(Beginning::Start);
}

fn main() {}
