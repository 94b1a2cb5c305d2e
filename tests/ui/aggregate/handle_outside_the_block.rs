use es_runtime::prelude::*;

#[command]
struct Open;
struct Account;

impl Account {
    #[handle]
    fn open(_: Open) {}
}

fn main() {}
