use es_runtime::prelude::*;

pub struct Balance;

fn main() {
    let _ = Runtime::builder(MemoryStore::new()).projection::<Balance>();
}
