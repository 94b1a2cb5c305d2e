use es_runtime::prelude::*;

#[aggregate]
struct Account;

fn main() {}
