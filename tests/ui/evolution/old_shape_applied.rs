use es_runtime::prelude::*;

#[event]
struct Opened;
#[event(version = 2, from = DepositedV1)]
struct Deposited;
#[event(name = "deposited")]
struct DepositedV1;

impl From<DepositedV1> for Deposited {
    fn from(_: DepositedV1) -> Self {
        Deposited
    }
}
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

    #[apply]
    fn deposited(&mut self, _: DepositedV1) {}
}

fn main() {}
