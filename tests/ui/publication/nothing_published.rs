use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[publication(topic = "bank.accounts")]
struct Accounts;

#[publication]
impl Accounts {
    fn opened(_: Opened) {}
}

fn main() {
    Accounts::opened(Opened { owner: String::new() });
}
