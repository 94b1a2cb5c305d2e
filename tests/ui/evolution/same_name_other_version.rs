use es_runtime::prelude::*;

#[event]
struct Opened;
#[event(name = "opened", version = 2)]
struct Reopened {
    #[event(added(since = 2, default = 0))]
    fee: u8,
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
    fn reopened(&mut self, _: Reopened) {}
}

fn main() {}
