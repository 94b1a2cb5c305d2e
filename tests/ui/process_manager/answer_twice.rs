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
    fn failed(&mut self, _: Failed<Deposit>) {}

    #[on]
    fn failed_again(self, _: Failed<Deposit>) -> Option<Self> {
        None
    }

    #[on]
    fn any(&mut self, _: AnyFailed) {}

    #[on]
    fn any_again(&mut self, _: AnyFailed) {}
}

fn main() {}
