use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[process_manager]
pub struct Welcome;

#[process_manager]
impl Welcome {
    #[on]
    fn opened(_: Opened) -> Self {
        Welcome
    }
}

fn main() {}
