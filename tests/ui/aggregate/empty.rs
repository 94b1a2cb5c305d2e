use es_runtime::prelude::*;

#[derive(Aggregate)]
struct Account;

#[aggregate]
impl Account {
}

fn main() {}
