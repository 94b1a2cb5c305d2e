#![allow(missing_docs, unreachable_pub)]
mod hand;
use es_runtime::*;
use hand::*;
use std::time::Instant;
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    for streams in [100usize, 10_000] {
        for _ in 0..1 {
            let runtime = Runtime::builder(MemoryStore::new()).start().await?;
            let ids: Vec<Id<Account>> = (0..streams).map(|_| Id::new()).collect();
            for id in &ids {
                runtime.execute(id, Open { owner: "Alice".into() }).await?;
            }
            let n = std::env::args().nth(1).map_or(1_000_000, |a| a.parse().unwrap());
            let t = Instant::now();
            for i in 0..n {
                runtime.execute(ids[i % streams], Deposit { amount: 5 }).await?;
            }
            let e = t.elapsed();
            println!(
                "{streams}: {:.3} M/s, {} ns",
                n as f64 / e.as_secs_f64() / 1e6,
                e.as_nanos() / n as u128
            );
        }
    }
    Ok(())
}
