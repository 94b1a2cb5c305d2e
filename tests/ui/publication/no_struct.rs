use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[message]
struct AccountOpened;

struct Accounts;

#[publication]
impl Accounts {
    #[publish]
    fn opened(_: Opened) -> AccountOpened {
        AccountOpened
    }
}

fn main() {}
