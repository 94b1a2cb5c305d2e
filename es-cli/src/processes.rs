use clap::Subcommand;
use es_runtime::process::{AnyProcess, AnyProcessManager, Cause, InstanceStatus, ProcessError};
use es_runtime::{Runtime, Timestamp, Version};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::age::Age;
use crate::failed::Failed;
use crate::names::unknown;
use crate::output::{Form, Output, Table};
use crate::text::{beginning, raw};

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Processes {
    /// List the instances that run; the exit status is 3 if one is parked
    List(List),
    /// Show an instance with each of its steps
    Show(Show),
    /// Have a parked instance try again what it stopped at
    Retry(Retry),
    /// End an instance, whatever it waits for
    End(End),
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct List {
    /// Only those of this process manager
    process: Option<String>,
    /// Only those without a step for so long, such as 10m or 3d
    #[arg(long, value_name = "TIME")]
    stuck_for: Option<Age>,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Show {
    /// The name of a process manager
    process: String,
    /// The id of an instance
    id: String,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Retry {
    /// The name of a process manager
    process: String,
    /// The id of an instance
    id: String,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct End {
    /// The name of a process manager
    process: String,
    /// The id of an instance
    id: String,
    /// The reason, which is stored with the last step
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    form: Form,
}

impl Processes {
    pub(crate) fn form(&self) -> Form {
        match self {
            Self::List(list) => list.form,
            Self::Show(show) => show.form,
            Self::Retry(retry) => retry.form,
            Self::End(end) => end.form,
        }
    }

    /// Returns whether the process manager must run for it.
    pub(crate) fn is_order(&self) -> bool {
        matches!(self, Self::Retry(_) | Self::End(_))
    }

    pub(crate) async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        match self {
            Self::List(list) => list.run(runtime, output).await,
            Self::Show(show) => show.run(runtime, output).await,
            Self::Retry(Retry { process, id, .. }) => {
                let done = one(runtime, &process)?.retry(&id).await;
                ordered(&process, &id, "tried again", done, output)
            }
            Self::End(End {
                process, id, reason, ..
            }) => {
                let done = one(runtime, &process)?.end(&id, reason).await;
                ordered(&process, &id, "ended", done, output)
            }
        }
    }
}

impl List {
    async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        let now = runtime.store().now().await?;
        let mut rows = Vec::new();
        let mut found = false;
        for process in chosen(runtime, self.process.as_deref())? {
            for instance in process.list().await? {
                let idle = now.as_micros().saturating_sub(instance.since.as_micros());
                let idle = u128::try_from(idle).unwrap_or_default();
                if self.stuck_for.is_some_and(|Age(time)| idle < time.as_micros()) {
                    continue;
                }
                found |= matches!(instance.status, InstanceStatus::Parked { .. });
                if output.is_json() {
                    output.json(&json(&process, &instance))?;
                } else {
                    rows.push(row(&process, &instance));
                }
            }
        }
        let mut table = Table::new(&["PROCESS", "ID", "STATUS", "STEP", "SINCE", "WAITS FOR", "STATE"]);
        table.rows(&rows, output)?;
        if found { Err(Failed::Found) } else { Ok(()) }
    }
}

impl Show {
    async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        let process = one(runtime, &self.process)?;
        let Some(instance) = process.get(&self.id).await? else {
            return Err(Failed::Error(format!(
                "there is no instance {} of {}",
                self.id,
                process.name()
            )));
        };
        if output.is_json() {
            output.json(&json(&process, &instance))?;
        } else {
            output.line(format!(
                "{} {}: {}",
                process.name(),
                instance.id,
                status(&instance.status)
            ))?;
            for pending in &instance.pending {
                output.line(format!(
                    "waits for {} of {}, sent in step {}",
                    pending.command, pending.to, pending.step
                ))?;
            }
            for timer in &instance.timers {
                output.line(format!("waits for timer {} at {}", timer.timer, timer.due))?;
            }
        }
        let mut rows = Vec::new();
        let mut steps = process.history(&self.id);
        while let Some(step) = steps.next().await? {
            if output.is_json() {
                output.json(&StepLine {
                    step: step.version,
                    recorded_at: step.recorded_at,
                    cause: &step.cause,
                    state: step.state.as_ref().map(|state| raw(state)),
                })?;
            } else {
                rows.push(vec![
                    step.version.to_string(),
                    step.recorded_at.to_string(),
                    because_of(&step.cause),
                    state(step.state.as_deref()),
                ]);
            }
        }
        Table::new(&["STEP", "RECORDED", "BECAUSE OF", "STATE"]).rows(&rows, output)
    }
}

/// Returns the process managers of this name; all if there is none.
pub(crate) fn chosen<'r>(runtime: &'r Runtime, name: Option<&str>) -> Result<Vec<AnyProcessManager<'r>>, Failed> {
    match name {
        Some(name) => Ok(vec![one(runtime, name)?]),
        None => Ok(runtime.process_managers().collect()),
    }
}

fn one<'r>(runtime: &'r Runtime, name: &str) -> Result<AnyProcessManager<'r>, Failed> {
    let mut all = runtime.process_managers();
    let known = runtime.process_managers().map(|process| process.name());
    all.find(|process| process.name() == name)
        .ok_or_else(|| unknown("process manager", name, known))
}

/// An instance for programs.
#[derive(Serialize)]
struct InstanceLine<'i> {
    process: &'i str,
    id: &'i str,
    status: &'static str,
    parked: Option<Value>,
    step: Version,
    since: Timestamp,
    pending: Vec<Value>,
    timers: Vec<Value>,
    state: Option<Box<RawValue>>,
}

/// A step of an instance for programs.
#[derive(Serialize)]
struct StepLine<'s> {
    step: Version,
    recorded_at: Timestamp,
    cause: &'s Cause,
    state: Option<Box<RawValue>>,
}

fn json<'i>(process: &AnyProcessManager<'i>, instance: &'i AnyProcess) -> InstanceLine<'i> {
    let (status, error) = match &instance.status {
        InstanceStatus::Waiting => ("waiting", None),
        InstanceStatus::Sending => ("sending", None),
        InstanceStatus::Ended => ("ended", None),
        InstanceStatus::Parked { position, error } => ("parked", Some(json!({"position": position, "error": error}))),
    };
    let pending = instance.pending.iter();
    let pending: Vec<_> = pending
        .map(|pending| json!({"command": pending.command, "to": pending.to, "step": pending.step}))
        .collect();
    let timers = instance.timers.iter();
    let timers: Vec<_> = timers
        .map(|timer| json!({"timer": timer.timer, "due": timer.due}))
        .collect();
    InstanceLine {
        process: process.name(),
        id: &instance.id,
        status,
        parked: error,
        step: instance.version,
        since: instance.since,
        pending,
        timers,
        state: instance.state.as_ref().map(|state| raw(state)),
    }
}

fn row(process: &AnyProcessManager<'_>, instance: &AnyProcess) -> Vec<String> {
    let pending = instance
        .pending
        .iter()
        .map(|pending| format!("{} of {}", pending.command, pending.to));
    let timers = instance
        .timers
        .iter()
        .map(|timer| format!("{} at {}", timer.timer, timer.due));
    let waits: Vec<_> = pending.chain(timers).collect();
    vec![
        process.name().to_owned(),
        instance.id.clone(),
        status(&instance.status),
        instance.version.to_string(),
        instance.since.to_string(),
        if waits.is_empty() {
            "-".to_owned()
        } else {
            waits.join(", ")
        },
        state(instance.state.as_deref()),
    ]
}

fn status(status: &InstanceStatus) -> String {
    match status {
        InstanceStatus::Waiting => "waiting".to_owned(),
        InstanceStatus::Sending => "sending".to_owned(),
        InstanceStatus::Ended => "ended".to_owned(),
        InstanceStatus::Parked { position, error } => format!("parked at position {position}: {error}"),
    }
}

fn state(json: Option<&[u8]>) -> String {
    json.map_or_else(|| "-".to_owned(), |json| beginning(raw(json).get(), 100))
}

fn because_of(cause: &Cause) -> String {
    match cause {
        Cause::Event { position, .. } => format!("the event at position {position}"),
        Cause::Answer {
            from,
            step,
            failed: None,
            ..
        } => format!("a command of step {step} to {from}, done"),
        Cause::Answer {
            from,
            step,
            failed: Some(why),
            ..
        } => format!("a command of step {step} to {from}, failed: {why}"),
        Cause::Elapsed => "timers that are due".to_owned(),
        Cause::Due { timer, step, .. } => format!("timer {timer} of step {step}"),
        Cause::Ended { reason } => format!("an operator: {reason}"),
        cause => format!("{cause:?}"),
    }
}

fn ordered(
    process: &str,
    id: &str,
    verb: &str,
    done: Result<(), ProcessError>,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    done?;
    if output.is_json() {
        return output.json(&json!({"process": process, "id": id, "done": verb}));
    }
    output.line(format!("{process} {id} has {verb}"))
}
