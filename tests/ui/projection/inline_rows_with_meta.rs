use es_runtime::prelude::*;
use es_tests::bank::{Account, Opened};

#[projection(name = "balances", inline)]
pub struct Balance {
    pub position: u64,
}

#[projection]
impl Balance {
    #[apply]
    fn opened(_: Opened, meta: &Meta<Account>) -> Self {
        Balance {
            position: meta.position().0,
        }
    }
}

fn main() {}
