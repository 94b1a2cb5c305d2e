use es_runtime::prelude::*;

#[event]
struct Opened;
#[event(name = "opened")]
struct OpenedWithDeposit;
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

    #[retired]
    fn opened_with_deposit(_: OpenedWithDeposit) -> Opened {
        Opened
    }
}

fn main() {}
