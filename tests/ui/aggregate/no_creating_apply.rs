use es_runtime::prelude::*;

#[event]
struct Deposited;
#[command]
struct Open;

#[derive(Aggregate)]
struct Account;

#[aggregate]
impl Account {
    #[handle]
    fn open(_: Open) {}

    #[apply]
    fn deposited(&mut self, _: Deposited) {}
}

fn main() {}
