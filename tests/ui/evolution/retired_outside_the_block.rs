use es_runtime::prelude::*;

#[event]
struct Noted;
struct Account;

impl Account {
    #[retired]
    fn noted(_: Noted) {}
}

fn main() {}
