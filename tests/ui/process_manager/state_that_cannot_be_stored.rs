use es_runtime::prelude::*;
use es_tests::bank::{Account, Opened};

pub struct Connection;

#[process_manager(id = Id<Account>)]
pub struct Caller {
    connection: Connection,
}

#[process_manager]
impl Caller {
    #[on]
    fn opened(_: Opened) -> Self {
        Caller { connection: Connection }
    }
}

fn main() {}
