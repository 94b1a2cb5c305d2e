use es_runtime::prelude::*;

#[event]
struct Opened;
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

    #[retired]
    fn noted(_: Noted) {}
}

fn main() {}
