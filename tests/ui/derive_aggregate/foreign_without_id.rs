use es_runtime::prelude::*;

#[derive(Aggregate)]
#[es(foreign)]
struct Account;

fn main() {}
