//! A program whose `main` ends with an error that has two causes.

#![allow(missing_docs, reason = "a program's own types")]

use es_runtime::prelude::*;

#[event]
pub struct Opened;

#[command]
pub struct Open;

#[derive(Debug, thiserror::Error)]
#[error("the account is not opened")]
pub struct NotOpened(#[source] Unchecked);

#[derive(Debug, thiserror::Error)]
#[error("the owner could not be checked")]
pub struct Unchecked(#[source] Unreachable);

#[derive(Debug, thiserror::Error)]
#[error("the register is closed on Sundays")]
pub struct Unreachable;

#[derive(Aggregate)]
pub struct Account;

#[aggregate]
impl Account {
    #[handle]
    fn open(_: Open) -> Result<Opened, NotOpened> {
        Err(NotOpened(Unchecked(Unreachable)))
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let runtime = Runtime::builder(MemoryStore::new()).start().await?;
    runtime.execute(Id::<Account>::new(), Open).await?;
    Ok(())
}
