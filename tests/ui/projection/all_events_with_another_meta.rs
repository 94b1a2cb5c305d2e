use es_runtime::prelude::*;
use es_tests::balances::Transfer;
use es_tests::bank::AccountEvent;

#[projection(name = "steps")]
pub struct Steps {
    count: u64,
}

#[projection]
impl Steps {
    #[apply]
    fn any(this: Option<Self>, _: AccountEvent, _: &Meta<Transfer>) -> Self {
        Steps { count: this.map_or(0, |row| row.count) + 1 }
    }
}

fn main() {}
