use es_runtime::prelude::*;

#[command]
struct Open;

#[derive(Aggregate)]
struct Account;

async fn send(runtime: Runtime, account: Id<Account>) {
    let _ = runtime.execute(account, Open).await;
}

fn main() {}
