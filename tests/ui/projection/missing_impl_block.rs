use es_runtime::prelude::*;

#[projection(name = "balances")]
pub struct Balance {
    cents: i64,
}

fn main() {
    let _ = Runtime::builder(MemoryStore::new()).projection::<Balance>();
}
