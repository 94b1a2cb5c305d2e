use es_runtime::prelude::*;
use es_tests::bank::Account;

#[process_manager(id = Id<Account>)]
pub struct Welcome {
    cents: i64,
}

#[process_manager]
impl Welcome {
    #[on]
    fn opened(_: (String, u8)) -> Self {
        Welcome { cents: 5 }
    }
}

fn main() {}
