use es_runtime::prelude::*;

#[derive(Aggregate)]
struct Account<T> {
    balance: T,
}

fn main() {}
