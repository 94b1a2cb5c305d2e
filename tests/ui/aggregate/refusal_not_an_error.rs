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

struct Refused;

#[aggregate]
impl Account {
    #[handle]
    fn open(_: Open) -> Opened {
        Opened
    }

    #[handle]
    fn deposit(&self, _: Deposit) -> Result<Deposited, Refused> {
        Err(Refused)
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }

    #[apply]
    fn deposited(&mut self, _: Deposited) {}
}

fn main() {}
