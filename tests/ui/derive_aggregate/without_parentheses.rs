use es_runtime::prelude::*;

#[derive(Aggregate)]
#[es = "account"]
struct Account;

fn main() {}
