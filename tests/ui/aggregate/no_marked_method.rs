use es_runtime::prelude::*;

struct Open;

#[derive(Aggregate)]
struct Account;

#[aggregate]
impl Account {
    fn open(_: Open) {}
}

fn main() {}
