use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[process_manager(id = String)]
pub struct Welcome {
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
