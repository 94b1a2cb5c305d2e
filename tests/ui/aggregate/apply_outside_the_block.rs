use es_runtime::prelude::*;

#[event]
struct Opened;
struct Account;

impl Account {
    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }
}

fn main() {}
