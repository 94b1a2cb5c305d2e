use es_runtime::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Iban;

#[derive(Aggregate)]
#[es(id = Iban)]
struct Account;

fn main() {}
