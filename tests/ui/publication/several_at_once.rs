use es_runtime::prelude::*;
use es_tests::bank::{Account, Deposited, Opened};

#[message]
struct AccountOpened {
    owner: String,
}

#[publication(topic = "bank accounts", versoin = 2)]
struct Accounts;

#[publication]
impl Accounts {
    #[publish]
    async fn opened(event: Opened) -> AccountOpened {
        AccountOpened { owner: event.owner }
    }

    #[publish]
    fn deposited(&self, event: Deposited) {}

    #[publish(keys = event.owner)]
    fn counted(count: u64, meta: Meta<Account>) -> AccountOpened {
        AccountOpened { owner: String::new() }
    }
}

fn main() {}
