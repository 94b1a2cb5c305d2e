use es_runtime::prelude::*;
use es_tests::bank::{Account, Deposit, Opened};

#[process_manager(id = Id<Account>)]
pub struct Welcome {
    cents: i64,
}

#[process_manager]
impl Welcome {
    #[on]
    fn opened(_: Opened, meta: &Meta<Account>) -> Self {
        todo.send(*meta.id(), Deposit { amount: 5 });
        Welcome { cents: 5 }
    }

    #[on]
    fn failed(&mut self, _: Failed<Deposit>) {}
}

fn main() {}
