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
    fn open(_: Open) -> Opened {
        let owner = ;
        Opened
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }
}

async fn uses(runtime: Runtime, account: Id<Account>) {
    let _ = runtime.execute(account, Open).await;
    let _ = runtime.load(account).await;
    let _ = Account::given(()).when(Open).then(Opened);
}

fn main() {}
