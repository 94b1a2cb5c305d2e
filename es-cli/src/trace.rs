use std::collections::{HashMap, HashSet};

use es_runtime::store::ReadLog;
use es_runtime::{Position, RecordedEvent, Runtime};
use futures_util::TryStreamExt as _;

use crate::age::Since;
use crate::events::{EventLine, data, named, position_at};
use crate::failed::Failed;
use crate::output::{Form, Output};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Trace {
    /// The correlation id, or the trace id of a traceparent
    correlation: String,
    /// Read only events that were recorded since a time, such as 2026-11-21T09:30:00Z, or since 10m, 2h or 3d ago
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    #[command(flatten)]
    pub(crate) form: Form,
}

impl Trace {
    pub(crate) async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        let store = runtime.store();
        let head = store.head().await?;
        let from = match self.since {
            Some(since) => position_at(runtime, since.time(store.now().await?), head).await?,
            None => Position(1),
        };
        output.note(format!("reading the log from position {from} to {head}"));
        let log = store.read_log(ReadLog::new().from(from).to(head));
        let found: Vec<_> = log
            .try_filter(|event| std::future::ready(self.is_part(event)))
            .try_collect()
            .await?;
        if found.is_empty() {
            let range = if self.since.is_some() { " since then" } else { "" };
            return Err(Failed::Error(format!(
                "no event has the correlation id `{}`{range}",
                self.correlation
            )));
        }
        if output.is_json() {
            return found.iter().try_for_each(|event| output.json(&EventLine::of(event)));
        }
        tree(&found).into_iter().try_for_each(|(event, depth)| {
            let RecordedEvent {
                position,
                recorded_at,
                stream,
                version,
                ..
            } = event;
            let (indent, name, data) = ("  ".repeat(depth), named(event), data(event));
            let actor = event
                .metadata
                .actor()
                .map(|actor| format!(" by {actor}"))
                .unwrap_or_default();
            output.line(format!(
                "{position:>8}  {recorded_at}  {indent}{name} in {stream}@{version}{actor}  {data}"
            ))
        })
    }

    fn is_part(&self, event: &RecordedEvent) -> bool {
        let trace = event.metadata.traceparent().and_then(|parent| parent.split('-').nth(1));
        [event.metadata.correlation_id(), trace].contains(&Some(&self.correlation))
    }
}

/// The events with their depth, each behind the event that caused it, else in their order.
fn tree(events: &[RecordedEvent]) -> Vec<(&RecordedEvent, usize)> {
    let known: HashSet<String> = events.iter().map(|event| event.id.to_string()).collect();
    let mut caused: HashMap<&str, Vec<&RecordedEvent>> = HashMap::new();
    let mut rest = Vec::new();
    for event in events.iter().rev() {
        match event.metadata.causation_id() {
            Some(cause) if known.contains(cause) && cause != event.id.to_string() => {
                caused.entry(cause).or_default().push(event);
            }
            _ => rest.push((event, 0)),
        }
    }
    let mut placed = Vec::with_capacity(events.len());
    while let Some((event, depth)) = rest.pop() {
        placed.push((event, depth));
        let effects = caused.remove(&*event.id.to_string()).unwrap_or_default();
        rest.extend(effects.into_iter().map(|effect| (effect, depth + 1)));
    }
    // A ring of causes has no beginning.
    let mut ring: Vec<_> = caused.into_values().flatten().map(|event| (event, 0)).collect();
    ring.sort_by_key(|(event, _)| event.position);
    placed.extend(ring);
    placed
}
