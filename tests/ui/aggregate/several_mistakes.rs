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
    async fn open(_: &Open) -> Opened {
        Opened
    }

    #[handle]
    fn deposit(&mut self) {}

    #[apply]
    fn opened(&self, _: Opened) {}
}

fn main() {}
