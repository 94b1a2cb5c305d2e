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

    #[retired]
    fn noted(&self, _: Noted, _: u8) {}

    #[retired]
    fn nothing() {}

    #[retired]
    fn borrowed(_: &Opened) {}
}

fn main() {}
