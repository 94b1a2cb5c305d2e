use es_runtime::prelude::*;

#[event(version = 2, from = DepositedV1)]
struct Deposited {
    #[event(added(since = 2, default = 0))]
    fee: u8,
}

#[event(name = "deposited")]
struct DepositedV1 {}

impl From<DepositedV1> for Deposited {
    fn from(_: DepositedV1) -> Self {
        Deposited { fee: 0 }
    }
}

fn main() {}
