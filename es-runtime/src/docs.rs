//! Guides.

#[doc = include_str!("../docs/deploying.md")]
pub mod deploying {}
