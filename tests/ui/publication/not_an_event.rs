use es_runtime::prelude::*;
use es_tests::bank::Open;

#[message]
struct AccountOpened;

#[publication(topic = "bank.accounts")]
struct Accounts;

#[publication]
impl Accounts {
    #[publish]
    fn opened(_: Open) -> AccountOpened {
        AccountOpened
    }
}

fn main() {}
