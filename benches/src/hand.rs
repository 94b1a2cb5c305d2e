use es_runtime::*;
use serde::{Deserialize, Serialize};
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    pub owner: String,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deposited {
    pub amount: i64,
}
impl Event for Opened {
    const NAME: &'static str = "opened";
}
impl Event for Deposited {
    const NAME: &'static str = "deposited";
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deposit {
    pub amount: i64,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Open {
    pub owner: String,
}
impl Command for Deposit {
    const NAME: &'static str = "deposit";
}
impl Command for Open {
    const NAME: &'static str = "open";
}
pub struct Account {
    pub balance: i64,
}
impl Aggregate for Account {
    const NAME: &'static str = "account";
    type Id = Id<Account>;
}
impl EventSourced for Account {
    type Event = AccountEvent;
}
#[derive(Debug, Clone, PartialEq)]
pub enum AccountEvent {
    Opened(Opened),
    Deposited(Deposited),
}
impl EventEnum<Account> for AccountEvent {
    const EVENTS: &'static [EventInfo] = &[EventInfo::of::<Opened>(), EventInfo::of::<Deposited>()];
    fn info(&self) -> EventInfo {
        match self {
            Self::Opened(_) => EventInfo::of::<Opened>(),
            Self::Deposited(_) => EventInfo::of::<Deposited>(),
        }
    }
    fn creates(&self) -> bool {
        matches!(self, Self::Opened(_))
    }
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Opened(e) => es_runtime::__private::encode(e, out),
            Self::Deposited(e) => es_runtime::__private::encode(e, out),
        }
    }
    fn decode(name: &str, v: u32, p: &[u8]) -> Result<Self, DecodeError> {
        match name {
            "opened" => Opened::decode(v, p).map(Self::Opened),
            "deposited" => Deposited::decode(v, p).map(Self::Deposited),
            _ => Err(DecodeError::Unknown),
        }
    }
    fn apply(self, state: &mut Option<Account>) -> Result<(), Misapplied> {
        match self {
            Self::Opened(e) => es_runtime::__private::create(state, e, |_| Account { balance: 0 }),
            Self::Deposited(e) => es_runtime::__private::change(state, e, |a, e| a.balance += e.amount),
        }
    }
}
impl CommandOf<Account> for Open {
    type On = New;
    type Refusal = std::convert::Infallible;
    fn handle(self, _: (), _: &Context) -> Result<Vec<AccountEvent>, Self::Refusal> {
        Ok(vec![AccountEvent::Opened(Opened { owner: self.owner })])
    }
}
impl CommandOf<Account> for Deposit {
    type On = Existing;
    type Refusal = std::convert::Infallible;
    fn handle(self, _: &Account, _: &Context) -> Result<Vec<AccountEvent>, Self::Refusal> {
        Ok(vec![AccountEvent::Deposited(Deposited { amount: self.amount })])
    }
}
