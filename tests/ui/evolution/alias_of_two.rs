use es_runtime::prelude::*;

#[event(alias = "created")]
struct Opened;
#[event(alias = "paid", alias = "created")]
struct Deposited;
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
    fn deposited(&mut self, _: Deposited) {}
}

fn main() {}
