use es_runtime::prelude::*;

#[event(version = 2, from = OpenedV1, try_from = OpenedV1)]
struct Opened;

#[event(name = "opened")]
struct OpenedV1;

impl From<OpenedV1> for Opened {
    fn from(_: OpenedV1) -> Self {
        Opened
    }
}

fn main() {}
