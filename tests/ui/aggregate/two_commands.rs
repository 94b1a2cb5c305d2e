use es_runtime::prelude::*;

#[event]
struct Opened;
#[command]
struct Open;
#[command]
struct Deposit;

#[derive(Aggregate)]
struct Account;

#[aggregate]
impl Account {
    #[handle]
    fn open(_: Open) -> Opened {
        Opened
    }

    #[handle]
    fn deposit(&self, _: Deposit, _: Open) {}

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }
}

fn main() {}
