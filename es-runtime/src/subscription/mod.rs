#![doc = include_str!("../../docs/subscriptions.md")]

mod calls;
mod cursor;
mod deliveries;
mod error;
mod handle;
mod handler;
mod reader;
mod reading;
mod standing;
mod task;
mod window;

pub use deliveries::{Acked, Deliveries, Delivery};
pub use error::SubscriptionError;
pub use handle::SubscriptionHandle;
pub use standing::SubscriptionHealth;

pub(crate) use calls::Calls;
pub(crate) use cursor::Cursor;
pub(crate) use handler::{Callback, Handler, Place};
pub(crate) use reader::Buffer;
pub(crate) use reading::Reading;
pub(crate) use standing::{Standing, Subscriptions};
pub(crate) use task::deliver;
