use es_runtime::prelude::*;
use es_tests::bank::Deposited;

#[projection(name = "balances")]
pub struct Balance {
    cents: i64,
}

#[projection]
impl Balance {
    #[apply]
    fn deposited(_: Option<Self>, _: Deposited) {}
}

fn main() {}
