use es_runtime::prelude::*;

#[event]
struct Opened;
#[event]
struct Deposited;
#[command]
struct Open;
#[command]
struct Deposit;

#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refused;

#[derive(Aggregate)]
struct Account;

#[aggregate]
impl Account {
    #[handle]
    fn open(_: Open) -> Opened {
        Opened
    }

    #[handle]
    fn deposit(&self, _: Deposit) -> Result<Deposited, Refused> {
        Ok(Deposited)
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }

    #[apply]
    fn deposited(&mut self, _: Deposited) {}
}

async fn send(runtime: Runtime, account: Id<Account>) {
    let _ = runtime.atomically(|tx| tx.execute(account, Deposit)).await;
}

fn main() {}
