use es_runtime::prelude::*;
use es_tests::bank::Deposited;

#[projection(name = "balances")]
pub struct Balance {
    cents: i64,
}

#[projection]
impl Balance {
    #[apply]
    fn deposited(this: Option<Self>, _: Deposited) -> Result<Self> {
        Ok(this.unwrap_or(Balance { cents: 0 }))
    }
}

fn main() {}
