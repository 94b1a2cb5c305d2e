use es_runtime::prelude::*;

#[event]
struct Opened;
#[command]
struct Open;

#[derive(Aggregate)]
struct Account;

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }

    #[handle]
    fn open(this: Option<Self>, _: Open) -> Option<Opened> {
        this.is_none().then_some(Opened)
    }
}

fn main() {}
