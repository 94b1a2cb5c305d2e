#![doc = include_str!("../../docs/subscriptions.md")]

mod calls;
mod cursor;
mod deliveries;
mod error;
mod handle;
mod handler;
mod handling;
mod lanes;
mod reader;
mod reading;
mod standing;
mod task;
mod window;
mod work;

pub use super::consumer::ControlError;
pub use deliveries::{Acked, Deliveries, Delivery};
pub use error::SubscriptionError;
pub use handle::SubscriptionHandle;
pub use standing::SubscriptionHealth;
pub use work::{InBatches, OneByOne, Stopped};

pub(crate) use calls::Calls;
pub(crate) use cursor::Cursor;
pub(crate) use handler::Handler;
pub(crate) use handling::{By, Manner};
pub(crate) use reader::Buffer;
pub(crate) use reading::{Reading, decode_as, meta_of};
pub(crate) use standing::{Kind, Standing, Subscriptions};
pub(crate) use task::deliver;
pub(crate) use work::{Halt, Work};
