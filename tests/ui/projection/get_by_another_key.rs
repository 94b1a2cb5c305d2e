use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[projection(name = "balances")]
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

async fn read(runtime: Runtime) -> Result<()> {
    runtime.get::<Balance>(42_u64).await?;
    Ok(())
}

fn main() {}
