use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[projection(name = "balances")]
struct Balance {
    owner: Option<&'static str>,
}

#[projection]
impl Balance {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { owner: None }
    }
}

fn main() {
    let _ = Runtime::builder(MemoryStore::new()).projection::<Balance>();
}
