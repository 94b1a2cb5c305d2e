use es_runtime::prelude::*;
use es_tests::bank::{Deposited, Opened};

#[projection(name = "balances")]
struct Balance {
    cents: i64,
}

#[projection]
impl Balance {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }

    #[apply]
    fn deposited(&mut self, amount: i64) {
        self.cents += amount;
    }
}

fn main() {
    let _ = Runtime::builder(MemoryStore::new()).projection::<Balance>();
}
