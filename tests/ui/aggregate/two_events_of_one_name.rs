use es_runtime::prelude::*;

mod again {
    use es_runtime::prelude::*;

    #[event(name = "reopened")]
    pub struct Opened;
}

#[event]
struct Opened;
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
    fn reopened(&mut self, _: again::Opened) {}
}

fn main() {}
