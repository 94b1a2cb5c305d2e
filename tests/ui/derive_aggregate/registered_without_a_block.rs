use es_runtime::prelude::*;

#[derive(Aggregate)]
struct Account;

fn main() {
    let _ = Runtime::builder(MemoryStore::new()).aggregate::<Account>();
}
