use es_runtime::prelude::*;

#[event(version = 2)]
#[serde(try_from = "String", into = "String")]
struct Deposited {
    #[event(added(since = 2, default = 0))]
    fee: u8,
}

impl TryFrom<String> for Deposited {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
        Ok(Self { fee: text.parse()? })
    }
}

impl From<Deposited> for String {
    fn from(event: Deposited) -> Self {
        event.fee.to_string()
    }
}

fn main() {}
