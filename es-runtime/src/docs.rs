//! Guides.

#[doc = include_str!("../docs/changing-an-event.md")]
pub mod changing_an_event {}

#[doc = include_str!("../docs/coming-from.md")]
pub mod coming_from {}

#[doc = include_str!("../docs/deploying.md")]
pub mod deploying {}

#[doc = include_str!("../docs/importing.md")]
pub mod importing {}

#[doc = include_str!("../docs/metrics.md")]
pub mod metrics {}

#[doc = include_str!("../docs/services.md")]
pub mod services {}

#[doc = include_str!("../docs/snapshots.md")]
pub mod snapshots {}

#[doc = include_str!("../docs/uniqueness.md")]
pub mod uniqueness {}

#[doc = include_str!("../docs/web-service.md")]
pub mod web_service {}
