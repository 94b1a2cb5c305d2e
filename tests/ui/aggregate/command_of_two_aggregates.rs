use es_runtime::prelude::*;

#[event]
struct Opened;
#[event]
struct Issued;
#[command]
struct Open;

#[derive(Aggregate)]
struct Account;

#[aggregate]
impl Account {
    #[handle]
    fn open(_: Open) -> Opened {
        Opened
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }
}

#[derive(Aggregate)]
struct Card;

#[aggregate]
impl Card {
    #[handle]
    fn open(_: Open) -> Issued {
        Issued
    }

    #[apply]
    fn issued(_: Issued) -> Self {
        Card
    }
}

fn main() {}
