use es_runtime::prelude::*;
use es_tests::bank::{Account, Opened};

#[process_manager(id = Id<Account>)]
pub struct Welcome {
    cents: i64,
}

#[value]
pub struct Late;

#[process_manager]
impl Welcome {
    #[on]
    fn opened(_: Opened, todo: &mut Todo<Self>) -> Self {
        todo.remind(std::time::Duration::from_secs(60), Late);
        Welcome { cents: 5 }
    }
}

fn main() {}
