use es_runtime::runtime::{AnyStep, At};
use es_runtime::{Position, RecordedEvent, Runtime, Timestamp, Version};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::difference::difference;
use crate::events::{ShapedEvent, data, named};
use crate::failed::Failed;
use crate::names::{StreamName, number};
use crate::output::{Form, Output};
use crate::state::in_json;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct History {
    /// Such as account/alice
    #[arg(value_name = "AGGREGATE/ID")]
    name: StreamName,
    /// Begin with this version
    #[arg(long, value_name = "VERSION", default_value_t = 1, value_parser = number())]
    from: u64,
    /// Show only what each event changed in the state
    #[arg(long)]
    diff: bool,
    #[command(flatten)]
    pub(crate) form: Form,
}

impl History {
    pub(crate) async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        let instance = self.name.instance(runtime)?;
        if runtime.store().version(instance.stream()).await? == 0 {
            return Err(self.name.missing(runtime).await?);
        }
        let mut before = String::new();
        if self.diff && self.from > 1 {
            let loaded = instance.state(At::Version(Version(self.from - 1))).await?;
            before = loaded.map(|loaded| loaded.state.text.clone()).unwrap_or_default();
        }
        let mut steps = instance.history(self.from);
        while let Some(step) = steps.next().await? {
            let after = step.state.as_ref().map_or("", |state| &state.text);
            let changes = self.diff.then(|| difference(&before, after));
            if output.is_json() {
                output.json(&Line::of(&step, changes.as_deref()))?;
            } else {
                let stored = &step.stored;
                let (version, time) = (stored.version, stored.recorded_at);
                output.line(format!("{version:>4}  {time}  {}  {}", named(stored), data(stored)))?;
                match &changes {
                    Some(changes) => changes
                        .iter()
                        .try_for_each(|change| output.line(format!("      {change}")))?,
                    None => after
                        .lines()
                        .try_for_each(|text| output.line(format!("      {text}")))?,
                }
            }
            after.clone_into(&mut before);
        }
        Ok(())
    }
}

/// A step for programs.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'s> {
    Changes {
        version: Version,
        position: Position,
        recorded_at: Timestamp,
        events: Vec<ShapedEvent<'s>>,
        changes: &'s [String],
    },
    State {
        version: Version,
        position: Position,
        recorded_at: Timestamp,
        events: Vec<ShapedEvent<'s>>,
        state: Option<Box<RawValue>>,
        text: Option<&'s str>,
    },
}

impl<'s> Line<'s> {
    fn of(step: &'s AnyStep, changes: Option<&'s [String]>) -> Self {
        let RecordedEvent {
            version,
            position,
            recorded_at,
            ..
        } = step.stored;
        let events = step.events.iter().map(ShapedEvent::of).collect();
        match changes {
            Some(changes) => Self::Changes {
                version,
                position,
                recorded_at,
                events,
                changes,
            },
            None => Self::State {
                version,
                position,
                recorded_at,
                events,
                state: step.state.as_ref().and_then(in_json),
                text: step.state.as_ref().map(|state| &*state.text),
            },
        }
    }
}
