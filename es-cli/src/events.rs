use std::time::Duration;

use es_runtime::runtime::AnyEvent;
use es_runtime::store::{CategoryFilter, EventFilter, ReadLog};
use es_runtime::{Position, RecordedEvent, Runtime, StoreError, StreamId, Timestamp};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, future};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use crate::age::Since;
use crate::failed::Failed;
use crate::names::{StreamName, number, unknown};
use crate::output::{Form, Output, Table};
use crate::text::{beginning, raw};

/// The events that are formatted together.
pub(crate) const AT_ONCE: usize = 100;

/// The pause after which the log is read again without a hint, as other processes give none.
const PAUSE: Duration = Duration::from_millis(300);

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Events {
    /// Only events of this name; may be repeated
    #[arg(long = "type", value_name = "EVENT")]
    types: Vec<String>,
    /// Only events of this aggregate, or of one stream of it
    #[arg(long, value_name = "AGGREGATE[/ID]")]
    stream: Option<String>,
    /// The newest so many
    #[arg(long, value_name = "N", default_value_t = 20)]
    last: usize,
    /// All that were recorded since a time, such as 2026-11-21T09:30:00Z, or since 10m, 2h or 3d ago
    #[arg(long, value_name = "TIME", conflicts_with = "last")]
    since: Option<Since>,
    /// All behind this position
    #[arg(long, value_name = "POSITION", conflicts_with_all = ["last", "since"], value_parser = number())]
    after: Option<u64>,
    /// Go on with the events to come, until it is interrupted
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    pub(crate) form: Form,
}

impl Events {
    pub(crate) async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        let chosen = Chosen::new(runtime, self.stream.as_deref(), self.types).await?;
        let mut table = Table::new(&["POSITION", "RECORDED", "STREAM", "VERSION", "EVENT", "DATA"]);
        let head = runtime.store().head().await?;
        let from = match (self.since, self.after) {
            (Some(since), _) => Some(position_at(runtime, since.time(runtime.store().now().await?), head).await?),
            (None, after) => after.map(|after| Position(after).next()),
        };
        match from {
            Some(from) => {
                let events = chosen.read(runtime, ReadLog::new().from(from).to(head));
                print(events, &mut table, output).await?;
            }
            None => {
                let events = chosen
                    .read(runtime, ReadLog::new().to(head).backwards())
                    .take(self.last);
                let mut events: Vec<_> = events.try_collect().await?;
                events.reverse();
                print_all(&events, &mut table, output)?;
            }
        }
        if self.follow {
            return chosen.follow(runtime, head, &mut table, output).await;
        }
        Ok(())
    }
}

/// The events that were asked for.
struct Chosen {
    filter: Option<EventFilter>,
    /// Any if it is empty.
    types: Vec<String>,
}

impl Chosen {
    async fn new(runtime: &Runtime, stream: Option<&str>, types: Vec<String>) -> Result<Self, Failed> {
        let stored = runtime.store().stored_events().await?;
        let known = runtime.catalog().aggregates.iter();
        let mut known: Vec<(&str, &str)> = known
            .flat_map(|aggregate| aggregate.events.iter().map(|event| (aggregate.name, event.name)))
            .chain(stored.iter().map(|kind| (&*kind.category, &*kind.name)))
            .collect();
        known.sort_unstable();
        known.dedup();
        let mut categories: Vec<_> = known.iter().map(|(category, _)| *category).collect();
        categories.dedup();
        let mut filter = None;
        if let Some(stream) = stream {
            let category = stream.split_once('/').map_or(stream, |(category, _)| category);
            if !categories.contains(&category) {
                return Err(unknown("aggregate", category, categories));
            }
            known.retain(|(of, _)| *of == category);
            filter = Some(match stream.parse::<StreamName>() {
                Ok(name) => EventFilter::Stream(name.stream(runtime)?),
                Err(_) => EventFilter::category(category.to_owned()),
            });
        }
        for name in &types {
            if !known.iter().any(|(_, known)| known == name) {
                let mut names: Vec<_> = known.into_iter().map(|(_, name)| name).collect();
                names.sort_unstable();
                names.dedup();
                return Err(unknown("event", name, names));
            }
        }
        if !types.is_empty() && !matches!(filter, Some(EventFilter::Stream(_))) {
            let of_category = |category: &str| CategoryFilter {
                category: category.to_owned().into(),
                names: Some(types.iter().map(|name| name.clone().into()).collect()),
            };
            known.retain(|(_, name)| types.iter().any(|wanted| wanted == name));
            let mut categories: Vec<_> = known.into_iter().map(|(category, _)| category).collect();
            categories.dedup();
            filter = Some(EventFilter::Categories(
                categories.into_iter().map(of_category).collect(),
            ));
        }
        Ok(Self { filter, types })
    }

    fn read<'a>(
        &'a self,
        runtime: &'a Runtime,
        mut query: ReadLog,
    ) -> BoxStream<'a, Result<RecordedEvent, StoreError>> {
        query.only.clone_from(&self.filter);
        let events = runtime.store().read_log(query);
        events
            .try_filter(|event| {
                let is_wanted = self.types.is_empty() || self.types.iter().any(|name| *name == event.name);
                future::ready(is_wanted)
            })
            .boxed()
    }

    /// Writes what comes behind `head`, until the output is gone or the store fails.
    async fn follow(
        &self,
        runtime: &Runtime,
        mut head: Position,
        table: &mut Table,
        output: &mut Output<'_>,
    ) -> Result<(), Failed> {
        let mut wakes = runtime.store().wakes();
        loop {
            output.flush()?;
            // A hint or none: the log is read in any case.
            let _ = timeout(PAUSE, wakes.beyond(head)).await;
            let next = runtime.store().head().await?;
            if next > head {
                let events = self.read(runtime, ReadLog::new().from(head.next()).to(next));
                print(events, table, output).await?;
                head = next;
            }
        }
    }
}

async fn print(
    events: BoxStream<'_, Result<RecordedEvent, StoreError>>,
    table: &mut Table,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let mut events = events.try_chunks(AT_ONCE);
    while let Some(events) = events.try_next().await.map_err(|error| error.1)? {
        print_all(&events, table, output)?;
    }
    Ok(())
}

fn print_all(events: &[RecordedEvent], table: &mut Table, output: &mut Output<'_>) -> Result<(), Failed> {
    if output.is_json() {
        return events.iter().try_for_each(|event| output.json(&EventLine::of(event)));
    }
    let row = |event: &RecordedEvent| {
        vec![
            event.position.to_string(),
            event.recorded_at.to_string(),
            event.stream.to_string(),
            event.version.to_string(),
            named(event),
            data(event),
        ]
    };
    table.rows(&events.iter().map(row).collect::<Vec<_>>(), output)
}

/// Returns the position of the first event that was recorded at `time` or later, which is behind `head` if there is none. Halves the log,
/// as the time of recording never goes back.
pub(crate) async fn position_at(runtime: &Runtime, time: Timestamp, head: Position) -> Result<Position, StoreError> {
    let (mut low, mut high) = (1, head.next().0);
    while low < high {
        let middle = low + (high - low) / 2;
        let query = ReadLog::new().from(middle).to(head).limit(1);
        match runtime.store().read_log(query).try_next().await? {
            Some(event) if event.recorded_at < time => low = event.position.next().0,
            _ => high = middle,
        }
    }
    Ok(Position(low))
}

/// An event for programs, as it is stored.
#[derive(Serialize)]
pub(crate) struct EventLine<'e> {
    position: Position,
    stream: &'e StreamId,
    version: u64,
    recorded_at: Timestamp,
    name: &'e str,
    shape_version: u32,
    id: String,
    data: Box<RawValue>,
    metadata: Box<RawValue>,
}

impl<'e> EventLine<'e> {
    pub(crate) fn of(event: &'e RecordedEvent) -> Self {
        Self {
            position: event.position,
            stream: &event.stream,
            version: event.version.0,
            recorded_at: event.recorded_at,
            name: &event.name,
            shape_version: event.shape_version,
            id: event.id.to_string(),
            data: raw(&event.payload),
            metadata: raw(event.metadata.to_json().as_bytes()),
        }
    }
}

/// An event for programs, in the shape of today.
#[derive(Serialize)]
pub(crate) struct ShapedEvent<'e> {
    name: &'e str,
    shape_version: u32,
    data: Box<RawValue>,
}

impl<'e> ShapedEvent<'e> {
    pub(crate) fn of(event: &'e AnyEvent) -> Self {
        Self {
            name: event.name,
            shape_version: event.shape_version,
            data: raw(&event.json),
        }
    }
}

/// The name of the event, with the version of its shape unless that is the first.
pub(crate) fn named(event: &RecordedEvent) -> String {
    match event.shape_version {
        0 | 1 => event.name.to_string(),
        version => format!("{} v{version}", event.name),
    }
}

/// The beginning of its content.
pub(crate) fn data(event: &RecordedEvent) -> String {
    beginning(raw(&event.payload).get(), 100)
}
