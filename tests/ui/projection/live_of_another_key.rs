use es_runtime::prelude::*;
use es_tests::balances::Transfer;
use es_tests::bank::Opened;

#[projection(live)]
pub struct Balance {
    cents: i64,
}

#[projection]
impl Balance {
    #[apply]
    fn opened(_: Opened) -> Self {
        Balance { cents: 0 }
    }
}

async fn read(runtime: Runtime, transfer: Id<Transfer>) -> Result<()> {
    runtime.live::<Balance>().of(transfer).await.ok();
    Ok(())
}

fn main() {}
