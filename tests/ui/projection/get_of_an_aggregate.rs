use es_runtime::prelude::*;
use es_tests::bank::Account;

async fn balance(runtime: &Runtime, id: Id<Account>) {
    let _ = runtime.get::<Account>(id).await;
}

fn main() {}
