use es_runtime::prelude::*;
use es_tests::bank::{Account, Deposit, Opened, Withdraw};

#[process_manager(id = Id<Account>)]
pub struct Welcome {
    cents: i64,
}

#[process_manager]
impl Welcome {
    #[on]
    fn opened(_: Opened, meta: &Meta<Account>, todo: &mut Todo<Self>) -> Self {
        todo.send(*meta.id(), Deposit { amount: 5 });
        todo.send(*meta.id(), Withdraw { amount: 5 });
        Welcome { cents: 5 }
    }

    #[on]
    fn paid(&mut self, _: Done<Deposit>) {}

    #[on]
    fn not_withdrawn(&mut self, _: Failed<Withdraw>) {}
}

fn main() {}
