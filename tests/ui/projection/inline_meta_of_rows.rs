use es_runtime::InlineMeta;
use es_runtime::prelude::*;
use es_tests::bank::{Account, Opened};

#[projection(name = "balances")]
pub struct Balance {
    pub cents: i64,
}

#[projection]
impl Balance {
    #[apply]
    fn opened(_: Opened, meta: &InlineMeta<Account>) -> Self {
        let _ = meta;
        Balance { cents: 0 }
    }
}

fn main() {}
