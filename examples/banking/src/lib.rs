//! A small bank, the example of `es-runtime`.

pub mod account;
mod money;
mod number;

pub use account::{Account, Refused};
pub use money::{Cents, ParseCentsError};
pub use number::{AccountNumber, ParseAccountNumberError};
