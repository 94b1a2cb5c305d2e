use es_runtime::prelude::*;
use es_tests::bank::{Account, Opened};

#[process_manager(version = 2, id = Id<Account>)]
pub struct Welcome {
    #[process_manager(add(since = 2, default = 0))]
    cents: i64,
}

#[process_manager]
impl Welcome {
    #[on]
    fn opened(_: Opened) -> Self {
        Welcome { cents: 5 }
    }
}

fn main() {}
