use es_runtime::prelude::*;

use std::thread::ThreadId;

#[event]
struct Opened {
    by: ThreadId,
}

fn main() {}
