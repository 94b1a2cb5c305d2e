use std::error::Error as StdError;
use std::path::PathBuf;

use es_runtime::store::{ListStreams, StreamInfo};
use es_runtime::{Runtime, StreamId, Version};
use futures_util::TryStreamExt as _;
use serde_json::json;

use crate::archive::{done, verified};
use crate::failed::{Failed, line};
use crate::output::{Form, Output};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Verify {
    /// Read an archive to its end instead of the store
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) form: Form,
}

impl Verify {
    pub(crate) async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        if let Some(archive) = &self.archive {
            return done("verified", verified(archive).await?, output);
        }
        let (mut streams, mut events, mut faults) = (0_u64, 0_u64, 0_u64);
        for aggregate in &runtime.catalog().aggregates {
            let mut listed = runtime.store().streams(ListStreams::new(aggregate.name));
            while let Some(StreamInfo { stream, version }) = listed.try_next().await? {
                (streams, events) = (streams + 1, events + version.0);
                let Err(error) = folded(runtime, &stream).await else {
                    continue;
                };
                faults += 1;
                if output.is_json() {
                    output.json(&json!({"stream": stream, "error": line(&*error)}))?;
                } else {
                    output.line(format!("{stream}: {}", line(&*error)))?;
                }
            }
        }
        if output.is_json() {
            output.json(&json!({"streams": streams, "events": events, "faults": faults}))?;
        } else {
            output.line(format!(
                "{events} events in {streams} streams were read, {faults} streams cannot be"
            ))?;
        }
        if faults > 0 { Err(Failed::Found) } else { Ok(()) }
    }
}

/// Folds every event of the stream, whatever is cached or in a snapshot.
async fn folded(runtime: &Runtime, stream: &StreamId) -> Result<(), Box<dyn StdError>> {
    let Some(aggregate) = runtime.any(stream.category()) else {
        return Ok(());
    };
    let mut steps = aggregate.instance(stream.id())?.history(Version::MAX);
    steps.next().await?;
    Ok(())
}
