#![doc = include_str!("../../docs/subscriptions.md")]

mod cursor;
mod deliveries;
mod error;
mod reading;
mod standing;
mod task;
mod window;

pub use deliveries::{Acked, Deliveries, Delivery};
pub use error::SubscriptionError;
pub use standing::SubscriptionHealth;

pub(crate) use cursor::Cursor;
pub(crate) use reading::Reading;
pub(crate) use standing::{Standing, Subscriptions};
pub(crate) use task::{Buffer, deliver};
