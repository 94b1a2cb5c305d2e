//! A bank over HTTP: `cargo run -p es-http --example bank`, then
//! `curl -i localhost:3000/accounts/open -H 'content-type: application/json' -d '{"owner": "Alice"}'`.

use es_http::Problem;
use es_runtime::prelude::*;
use es_sqlite::SqliteStore;
use es_tests::balances::Balance;
use es_tests::bank::{Account, InsufficientFunds};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<()> {
    let store = SqliteStore::open("bank.db").await?;
    let builder = Runtime::builder(store).aggregate::<Account>();
    let runtime = builder.projection::<Balance>().start().await?;
    let app = es_http::router(&runtime)
        .commands::<Account>("/accounts")
        .refusal(|why: &InsufficientFunds| Problem::new(422, "insufficient-funds").with("balance", why.balance))
        .rows::<Balance>("/balances")
        .events::<Account>("/accounts")
        .until(stop())
        .build();
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).with_graceful_shutdown(stop()).await?;
    runtime.shutdown().await?;
    Ok(())
}

async fn stop() {
    let _ = tokio::signal::ctrl_c().await;
}
