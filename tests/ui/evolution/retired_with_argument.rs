use es_runtime::prelude::*;

#[event]
struct Opened;
#[event]
struct Noted;
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

    #[retired(since = 2)]
    fn noted(_: Noted) {}

    #[retired]
    const NOTED: u8 = 1;
}

fn main() {}
