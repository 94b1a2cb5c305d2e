use es_runtime::InlineMeta;
use es_runtime::prelude::*;
use es_tests::bank::{Account, Opened};

#[projection(name = "days", inline)]
pub struct Day {
    pub accounts: u64,
}

#[projection]
impl Day {
    #[apply(key = meta.recorded_at())]
    fn opened(this: Option<Self>, _: Opened, meta: &InlineMeta<Account>) -> Self {
        let _ = meta;
        Day {
            accounts: this.map_or(0, |day| day.accounts) + 1,
        }
    }
}

fn main() {}
