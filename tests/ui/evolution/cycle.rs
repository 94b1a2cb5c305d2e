use es_runtime::prelude::*;

#[event(version = 3, from = OpenedV2)]
struct Opened;

#[event(name = "opened", version = 2, from = Opened)]
struct OpenedV2;

impl From<OpenedV2> for Opened {
    fn from(_: OpenedV2) -> Self {
        Opened
    }
}

impl From<Opened> for OpenedV2 {
    fn from(_: Opened) -> Self {
        OpenedV2
    }
}

fn main() {}
