use es_runtime::prelude::*;

#[event]
struct Opened;
#[command]
struct Open;
#[command]
struct Issue;

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
    fn issue(_: Issue) -> Opened {
        Opened
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Card
    }
}

fn main() {}
