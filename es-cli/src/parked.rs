use clap::Subcommand;
use es_runtime::store::ReadLog;
use es_runtime::{ControlError, Position, ProjectionHandle, RecordedEvent, Runtime, StoreError, StreamId};
use futures_util::TryStreamExt as _;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::events::{data, named as named_event};
use crate::failed::Failed;
use crate::names::number;
use crate::output::{Form, Output, Table};
use crate::projections::{named, with_version};
use crate::text::raw;

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Parked {
    /// List the events that projections have parked; the exit status is 3 if there are any
    List(List),
    /// Have a projection try a parked or held event again, and then those that stand behind it
    Retry(Retry),
    /// Have a projection leave out a parked or held event
    Skip(Skip),
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct List {
    /// Only those of this projection, such as balances or balances@2
    projection: Option<String>,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Retry {
    /// Such as balances or balances@2
    projection: String,
    /// The position of the event
    #[arg(value_parser = number())]
    position: u64,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Skip {
    /// Such as balances or balances@2
    projection: String,
    /// The position of the event
    #[arg(value_parser = number())]
    position: u64,
    /// The reason, for the log of the process
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    form: Form,
}

impl Parked {
    pub(crate) fn form(&self) -> Form {
        match self {
            Self::List(list) => list.form,
            Self::Retry(retry) => retry.form,
            Self::Skip(skip) => skip.form,
        }
    }

    /// Returns whether the projections must run for it.
    pub(crate) fn is_order(&self) -> bool {
        matches!(self, Self::Retry(_) | Self::Skip(_))
    }

    pub(crate) async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        match self {
            Self::List(list) => list.run(runtime, output).await,
            Self::Retry(Retry {
                projection, position, ..
            }) => {
                let projection = one(runtime, &projection)?;
                let done = projection.retry(position).await;
                done_to(&projection, position, "applied", done, output)
            }
            Self::Skip(Skip {
                projection,
                position,
                reason,
                ..
            }) => {
                let projection = one(runtime, &projection)?;
                let done = projection.skip(position, reason).await;
                done_to(&projection, position, "skipped", done, output)
            }
        }
    }
}

impl List {
    async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        let mut rows = Vec::new();
        let mut found = false;
        for projection in named(runtime, self.projection.as_deref())? {
            for parked in projection.parked().await? {
                found = true;
                let event = event_at(runtime, parked.position).await?;
                if output.is_json() {
                    output.json(&Line {
                        projection: projection.name(),
                        version: projection.version(),
                        position: parked.position,
                        why: parked.reason.name(),
                        attempts: parked.attempts,
                        error: &parked.error,
                        stream: event.as_ref().map(|event| &event.stream),
                        name: event.as_ref().map(|event| &*event.name),
                        data: event.as_ref().map(|event| raw(&event.payload)),
                    })?;
                    continue;
                }
                let of_event = |text: fn(&RecordedEvent) -> String| event.as_ref().map_or_else(|| "-".to_owned(), text);
                rows.push(vec![
                    with_version(&projection),
                    parked.position.to_string(),
                    of_event(|event| event.stream.to_string()),
                    of_event(|event| event.version.to_string()),
                    of_event(named_event),
                    of_event(data),
                    parked.reason.name().replace('_', " "),
                    parked.attempts.to_string(),
                    parked.error,
                ]);
            }
        }
        let mut table = Table::new(&[
            "PROJECTION",
            "POSITION",
            "STREAM",
            "VERSION",
            "EVENT",
            "DATA",
            "WHY",
            "ATTEMPTS",
            "ERROR",
        ]);
        table.rows(&rows, output)?;
        if found { Err(Failed::Found) } else { Ok(()) }
    }
}

/// A parked event for programs.
#[derive(Serialize)]
struct Line<'p> {
    projection: &'p str,
    version: u32,
    position: Position,
    why: &'p str,
    attempts: u32,
    error: &'p str,
    stream: Option<&'p StreamId>,
    name: Option<&'p str>,
    data: Option<Box<RawValue>>,
}

async fn event_at(runtime: &Runtime, position: Position) -> Result<Option<RecordedEvent>, StoreError> {
    let query = ReadLog::new().from(position).to(position).limit(1);
    runtime.store().read_log(query).try_next().await
}

/// Returns the projection to which an order goes.
fn one<'r>(runtime: &'r Runtime, name: &str) -> Result<ProjectionHandle<'r>, Failed> {
    let mut named = named(runtime, Some(name))?;
    match named.len() {
        1 => Ok(named.remove(0)),
        _ => {
            let versions: Vec<_> = named.iter().map(with_version).collect();
            Err(Failed::Usage(format!(
                "there are several: say which, {}",
                versions.join(" or ")
            )))
        }
    }
}

fn done_to(
    projection: &ProjectionHandle<'_>,
    position: u64,
    verb: &str,
    done: Result<(), ControlError>,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    done?;
    if output.is_json() {
        let (name, version) = (projection.name(), projection.version());
        return output.json(&json!({"projection": name, "version": version, "position": position, "done": verb}));
    }
    output.line(format!(
        "{} has {verb} the event at position {position}",
        with_version(projection)
    ))
}
