use es_runtime::prelude::*;

#[event]
struct Opened;
#[command]
struct Open;

#[derive(Aggregate)]
#[es(id = String)]
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

async fn send(runtime: Runtime, account: String) {
    let _ = runtime.execute(account, Open).await;
}

fn main() {}
