use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[message]
struct AccountOpened;

struct Accounts;

impl Accounts {
    #[publish]
    fn opened(_: Opened) -> AccountOpened {
        AccountOpened
    }
}

fn main() {
    Accounts::opened(Opened { owner: String::new() });
}
