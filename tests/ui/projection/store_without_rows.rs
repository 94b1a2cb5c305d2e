use std::sync::Arc;

use es_runtime::prelude::*;
use es_tests::balances::Balance;

fn start(store: Arc<dyn EventStore>) {
    let _ = Runtime::builder(store).projection::<Balance>();
}

fn main() {}
