use es_runtime::prelude::*;

#[event(name = "opened-opened-opened-opened-opened-opened-opened-opened-opened-opened-opened-opened-opened-opened-opened-opened-opened-opened-opened-")]
struct Opened;

fn main() {}
