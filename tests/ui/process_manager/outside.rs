use es_runtime::prelude::*;
use es_tests::bank::{Account, Opened};

#[process_manager(id = Id<Account>)]
pub struct Welcome {
    cents: i64,
}

impl Welcome {
    #[on]
    fn opened(_: Opened) -> Self {
        Welcome { cents: 5 }
    }
}

fn main() {}
