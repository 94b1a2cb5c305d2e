use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[publication(topic = "bank.accounts")]
struct Accounts;

#[publication]
impl Accounts {
    #[publish]
    fn opened(event: Opened) -> Opened {
        event
    }
}

fn main() {}
