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

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }

    #[cfg_attr(debug_assertions, handle)]
    fn deposit(&self, _: Deposit) {}
}

fn main() {}
