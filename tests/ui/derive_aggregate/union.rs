use es_runtime::prelude::*;

#[derive(Aggregate)]
union Account {
    balance: i64,
}

fn main() {}
