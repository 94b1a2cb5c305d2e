use es_runtime::prelude::*;
use es_tests::bank::Deposited;

#[projection(name = "balances")]
pub struct Balance {
    cents: i64,
}

#[projection]
impl Balance {
    #[apply]
    fn deposited(this: Option<Self>, event: Deposited) -> i64 {
        this.map_or(0, |row| row.cents) + event.amount
    }
}

fn main() {}
