use es_runtime::runtime::AnyState;
use es_runtime::{Position, Runtime, StreamId, Version};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::failed::Failed;
use crate::names::StreamName;
use crate::output::{Form, Output};
use crate::text::raw;
use crate::then::Then;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct State {
    /// Such as account/alice
    #[arg(value_name = "AGGREGATE/ID")]
    name: StreamName,
    #[command(flatten)]
    then: Then,
    #[command(flatten)]
    pub(crate) form: Form,
}

impl State {
    pub(crate) async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        let instance = self.name.instance(runtime)?;
        let Some(loaded) = instance.state(self.then.at(runtime).await?).await? else {
            return Err(Failed::Error(format!("{} did not exist then", instance.stream())));
        };
        if output.is_json() {
            return output.json(&Line {
                stream: instance.stream(),
                version: loaded.version,
                position: loaded.position,
                state: in_json(&loaded.state),
                text: &loaded.state.text,
            });
        }
        output.line(format!(
            "{} at version {}, position {}",
            instance.stream(),
            loaded.version,
            loaded.position
        ))?;
        output.lines(&loaded.state.text)
    }
}

/// A state for programs.
#[derive(Serialize)]
struct Line<'s> {
    stream: &'s StreamId,
    version: Version,
    position: Position,
    state: Option<Box<RawValue>>,
    text: &'s str,
}

/// The JSON of a state that has one.
pub(crate) fn in_json(state: &AnyState) -> Option<Box<RawValue>> {
    state.json.as_ref().map(|json| raw(json))
}
