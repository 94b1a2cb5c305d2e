use es_runtime::prelude::*;
use es_runtime::testing::RecordingSink;

#[publication(topic = "bank.accounts")]
struct Accounts;

fn main() {
    let _ = Runtime::builder(MemoryStore::new()).publication::<Accounts>(RecordingSink::new(), Beginning::Start);
}
