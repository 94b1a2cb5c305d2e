//! Orders, an example of `es-runtime`: each is reserved, paid and shipped, or all of that is undone.
//!
//! The aggregates are [`order`], [`stock`], [`payment`] and [`shipment`]; [`fulfilment`] is the process manager that leads an order through
//! them. [`OrderView`] shows the orders, and a subscription confirms each by e-mail.

pub mod cli;
mod error;
pub mod fulfilment;
mod keys;
mod mail;
pub mod order;
mod outside;
pub mod payment;
mod play;
pub mod shipment;
mod shop;
pub mod sink;
pub mod stock;
mod table;
mod view;

pub use error::ShopError;
pub use keys::{Article, OrderNumber, ParseKeyError, PaymentNumber, ShipmentNumber};
pub use shop::Shop;
pub use view::OrderView;
