use es_runtime::prelude::*;
use es_tests::bank::{Account, Deposit, Opened};

#[process_manager(id = Id<Account>)]
pub struct Welcome {
    cents: i64,
}

#[process_manager]
impl Welcome {
    #[on]
    fn opened(_: Opened) -> Self {
        Welcome { cents: 5 }
    }

    #[on]
    fn paid(_: Done<Deposit>) -> Self {
        Welcome { cents: 5 }
    }

    #[on]
    fn failed(&mut self, _: Failed<Deposit>) {}
}

fn main() {}
