use es_runtime::prelude::*;
use es_tests::bank::{Account, Deposited, Opened};

#[message]
struct AccountOpened {
    owner: String,
}

#[publication(topic = "bank.accounts")]
struct Accounts;

#[publication]
impl Accounts {
    #[publish]
    fn opened(event: Opened) -> AccountOpened {
        AccountOpened { owner: event.owner }
    }

    #[publish]
    fn opened_too(event: Opened) -> AccountOpened {
        AccountOpened { owner: event.owner }
    }
}

fn main() {
    let _ = (Account { owner: String::new(), balance: 0 }, Deposited { amount: 1 });
}
