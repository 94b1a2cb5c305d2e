use es_runtime::prelude::*;

#[event]
struct Opened;
#[command]
struct Open;
#[command]
struct Issue;

#[derive(Aggregate)]
struct Account;

#[aggregate]
impl Account {
    #[handle]
    fn open(_: Open) -> Opened {
        Opened
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }
}

async fn send(runtime: Runtime, account: Id<Account>) {
    let _ = runtime.execute(account, Issue).await;
}

fn main() {}
