use es_runtime::runtime::{AnyStep, At};
use es_runtime::{Runtime, Version};
use serde_json::json;

use crate::difference::difference;
use crate::events::{data, named};
use crate::failed::Failed;
use crate::names::{StreamName, number};
use crate::output::{Form, Output};
use crate::state::in_json;
use crate::text::raw;

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
                output.json(&line(&step, changes.as_deref()))?;
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

fn line(step: &AnyStep, changes: Option<&[String]>) -> serde_json::Value {
    let events: Vec<_> = step
        .events
        .iter()
        .map(|event| json!({"name": event.name, "shape_version": event.shape_version, "data": raw(&event.json)}))
        .collect();
    let mut line = json!({
        "version": step.stored.version,
        "position": step.stored.position,
        "recorded_at": step.stored.recorded_at,
        "events": events,
    });
    match changes {
        Some(changes) => line["changes"] = json!(changes),
        None => {
            line["state"] = json!(step.state.as_ref().and_then(in_json));
            line["text"] = json!(step.state.as_ref().map(|state| &state.text));
        }
    }
    line
}
