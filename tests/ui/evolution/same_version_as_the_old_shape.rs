use es_runtime::prelude::*;

#[event(version = 2, from = OpenedV2)]
struct Opened;

#[event(name = "opened", version = 2, from = OpenedV1)]
struct OpenedV2;

#[event(name = "opened")]
struct OpenedV1;

impl From<OpenedV2> for Opened {
    fn from(_: OpenedV2) -> Self {
        Opened
    }
}

impl From<OpenedV1> for OpenedV2 {
    fn from(_: OpenedV1) -> Self {
        OpenedV2
    }
}

fn main() {}
