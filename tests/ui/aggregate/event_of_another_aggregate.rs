use es_runtime::prelude::*;

#[event]
struct Opened;
#[command]
struct Open;
#[command]
struct Deposit;

#[derive(Aggregate)]
struct Account;

#[event]
struct Issued;
#[command]
struct Issue;

#[derive(Aggregate)]
struct Card;

#[aggregate]
impl Card {
    #[handle]
    fn issue(_: Issue) -> Issued {
        Issued
    }

    #[apply]
    fn issued(_: Issued) -> Self {
        Card
    }
}

#[aggregate]
impl Account {
    #[handle]
    fn open(_: Open) -> Opened {
        Opened
    }

    #[handle]
    fn deposit(&self, _: Deposit) -> Issued {
        Issued
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }
}

fn main() {}
