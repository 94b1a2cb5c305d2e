use es_runtime::prelude::*;

#[event]
struct Opened;
#[command]
struct Open;

#[derive(Aggregate)]
struct Account;

#[aggregate]
impl Account {
    #[handle]
    fn open(command Open) -> Opened {
        Opened
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }
}

async fn uses(runtime: Runtime, account: Id<Account>) {
    let _ = runtime.execute(account, Open).await;
}

fn main() {}
