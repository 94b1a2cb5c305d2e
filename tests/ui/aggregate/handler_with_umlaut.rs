use es_runtime::prelude::*;

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

    #[handle]
    fn öffnen(&self) -> Opened {
        Opened
    }

    #[handle]
    fn r#type(&self) {}

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }

    #[apply]
    fn _1(&mut self) {}
}

fn main() {}
