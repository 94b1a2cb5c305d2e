use es_runtime::prelude::*;

#[event]
struct Opened;
#[event]
struct Deposited;
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
    fn deposit(&self, _: Deposit) -> Deposited {
        Deposited
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }
}

fn main() {}
