use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[message]
struct AccountOpened;

#[publication(name = "accounts")]
struct Accounts;

#[publication]
impl Accounts {
    #[publish]
    fn opened(_: Opened) -> AccountOpened {
        AccountOpened
    }
}

fn main() {}
