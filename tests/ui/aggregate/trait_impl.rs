use es_runtime::prelude::*;

#[derive(Aggregate)]
struct Account;

#[aggregate]
impl Default for Account {
    fn default() -> Self {
        Account
    }
}

fn main() {}
