use es_runtime::prelude::*;
use es_tests::bank::{Deposited, Opened};

#[projection(name = "balances")]
struct Balance {
    cents: i64,
}

macro_rules! methods {
    ($($methods:tt)*) => { $($methods)* };
}

#[projection]
impl Balance {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }

    methods! {
        #[apply]
        fn deposited(&mut self, event: Deposited) {
            self.cents += event.amount;
        }
    }
}

fn main() {
    let _ = Runtime::builder(MemoryStore::new()).projection::<Balance>();
}
