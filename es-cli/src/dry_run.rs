use es_runtime::runtime::AnyEvent;
use es_runtime::{AnyRefusal, ExecuteError, Runtime};

use crate::events::ShapedEvent;
use crate::failed::{Failed, line};
use crate::names::{StreamName, unknown};
use crate::output::{Form, Output, Table};
use crate::text::{beginning, raw};
use crate::then::Then;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DryRun {
    /// Such as account/alice
    #[arg(value_name = "AGGREGATE/ID")]
    name: StreamName,
    /// The name of a command
    command: String,
    /// Its content, such as '{"cents": 80}'; none for a command without fields
    #[arg(value_name = "JSON")]
    content: Option<String>,
    #[command(flatten)]
    then: Then,
    #[command(flatten)]
    pub(crate) form: Form,
}

impl DryRun {
    pub(crate) async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        let instance = self.name.instance(runtime)?;
        let info = crate::names::aggregate(runtime, &self.name.category)?.info();
        if info.command(&self.command).is_none() {
            let known = info.commands.iter().map(|command| command.name);
            return Err(unknown("command", &self.command, known));
        }
        // A command without fields is a unit, or has braces.
        let content = self.content.as_deref().unwrap_or_else(|| {
            let is_unit = instance.takes(&self.command, b"null");
            if is_unit { "null" } else { "{}" }
        });
        let at = self.then.at(runtime).await?;
        let events = instance.dry_run(&self.command, content.as_bytes(), at).await;
        let events = events.map_err(failed)?;
        if output.is_json() {
            return events.iter().try_for_each(|event| output.json(&ShapedEvent::of(event)));
        }
        if events.is_empty() {
            return output.line("it would change nothing");
        }
        let row = |event: &AnyEvent| vec![event.name.to_owned(), beginning(raw(&event.json).get(), 100)];
        Table::new(&["WOULD BE", "DATA"]).rows(&events.iter().map(row).collect::<Vec<_>>(), output)
    }
}

fn failed(error: ExecuteError<AnyRefusal>) -> Failed {
    match error {
        ExecuteError::Invalid(_) => Failed::Usage(line(&error)),
        error if error.is_callers_fault() => Failed::Refused(line(&error)),
        error => error.into(),
    }
}
