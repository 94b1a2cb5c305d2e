use es_runtime::prelude::*;

#[derive(Aggregate)]
#[es(name = "es.account")]
struct Account;

fn main() {}
