use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[message]
struct AccountOpened;

#[publication(topic = "bank.accounts")]
struct Accounts;

#[publication]
impl Accounts {
    #[publish(key = event)]
    fn opened(event: Opened) -> AccountOpened {
        drop(event);
        AccountOpened
    }
}

fn main() {}
