use es_runtime::store::ReadStream;
use es_runtime::{RecordedEvent, Runtime};
use futures_util::TryStreamExt as _;

use crate::events::{AT_ONCE, EventLine, data, named};
use crate::failed::Failed;
use crate::names::{StreamName, number};
use crate::output::{Form, Output, Table};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Stream {
    /// Such as account/alice
    #[arg(value_name = "AGGREGATE/ID")]
    name: StreamName,
    /// Begin with this version
    #[arg(long, value_name = "VERSION", default_value_t = 1, value_parser = number())]
    from: u64,
    /// End after so many events
    #[arg(long, value_name = "N", value_parser = number())]
    limit: Option<u64>,
    #[command(flatten)]
    pub(crate) form: Form,
}

impl Stream {
    pub(crate) async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        let stream = self.name.stream(runtime)?;
        let version = runtime.store().version(&stream).await?;
        if version.0 == 0 {
            return Err(self.name.missing(runtime).await?);
        }
        let mut query = ReadStream::new(stream).from(self.from);
        query.limit = self.limit;
        let mut table = Table::new(&["VERSION", "RECORDED", "EVENT", "ACTOR", "DATA"]);
        let mut events = runtime.store().read_stream(query).try_chunks(AT_ONCE);
        while let Some(events) = events.try_next().await.map_err(|error| error.1)? {
            if output.is_json() {
                events.iter().try_for_each(|event| output.json(&EventLine::of(event)))?;
            } else {
                let rows: Vec<_> = events.iter().map(row).collect();
                table.rows(&rows, output)?;
            }
        }
        Ok(())
    }
}

fn row(event: &RecordedEvent) -> Vec<String> {
    vec![
        event.version.to_string(),
        event.recorded_at.to_string(),
        named(event),
        event.metadata.actor().unwrap_or("-").to_owned(),
        data(event),
    ]
}
