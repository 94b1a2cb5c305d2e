use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[projection(live)]
pub struct Statement;

#[projection]
impl Statement {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self
    }
}

fn main() {
    let _ = Runtime::builder(MemoryStore::new()).projection::<Statement>();
}
