use es_runtime::prelude::*;
use futures_util::stream;

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
        Opened
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }
}

fn import(runtime: &Runtime, account: Id<Account>) {
    let _ = runtime.import("old-bank", stream::iter([(account, Opened)]));
}

fn main() {}
