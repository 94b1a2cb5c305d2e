use es_runtime::prelude::*;

#[event]
pub struct Opened;
#[event]
pub struct Deposited;
#[command]
pub struct Open;
#[command]
pub struct Deposit;

#[derive(Debug, thiserror::Error)]
#[error("no")]
struct Refused;

#[derive(Aggregate)]
pub struct Account;

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
