use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[message]
struct AccountOpened;

#[publication(key = event.owner, topic = "bank.accounts", park, park_alone)]
struct Accounts;

#[publication(topic = "bank.accounts")]
impl Accounts {
    #[publish]
    fn opened(_: Opened) -> AccountOpened {
        AccountOpened
    }
}

fn main() {}
