use es_runtime::runtime::At;
use es_runtime::{Runtime, StoreError, Version};

use crate::age::Since;
use crate::names::number;

/// The point in the history of a stream: its end, unless said otherwise.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Then {
    /// As it was after the event of this version
    #[arg(long, value_name = "VERSION", value_parser = number(), conflicts_with = "at")]
    at_version: Option<u64>,
    /// As it was at a time, such as 2026-11-21T09:30:00Z, or 10m, 2h or 3d ago: with the events that were recorded by then
    #[arg(long, value_name = "TIME")]
    at: Option<Since>,
}

impl Then {
    pub(crate) async fn at(self, runtime: &Runtime) -> Result<At, StoreError> {
        Ok(match (self.at_version, self.at) {
            (Some(version), _) => At::Version(Version(version)),
            (None, Some(since)) => At::Time(since.time(runtime.store().now().await?)),
            (None, None) => At::Now,
        })
    }
}
