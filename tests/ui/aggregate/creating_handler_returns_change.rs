use es_runtime::prelude::*;

#[event]
struct Opened;
#[event]
struct Deposited;
#[command]
struct Open;

#[derive(Aggregate)]
struct Account;

#[aggregate]
impl Account {
    #[handle]
    fn open(_: Open) -> Result<Deposited, std::fmt::Error> {
        Ok(Deposited)
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }

    #[apply]
    fn deposited(&mut self, _: Deposited) {}
}

fn main() {}
