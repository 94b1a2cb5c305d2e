use es_runtime::prelude::*;

#[derive(Aggregate)]
#[es(nmae = "account")]
struct Account;

fn main() {}
