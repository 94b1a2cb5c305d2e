use std::time::Duration;

use es_runtime::Runtime;
use es_runtime::projection::{Failure, ProjectionHealth, Status as Standing};
use es_runtime::runtime::ProjectionInfo;
use es_runtime::subscription::SubscriptionHealth;
use serde::Serialize;
use serde_json::json;

use crate::age::{Age, rounded};
use crate::failed::Failed;
use crate::output::{Form, Output, Table};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Status {
    /// The lag from which one needs attention, such as 90s or 10m
    #[arg(long, value_name = "TIME", default_value = "60s")]
    late: Age,
    #[command(flatten)]
    pub(crate) form: Form,
}

impl Status {
    pub(crate) async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        let health = runtime.health().await?;
        let catalog = runtime.catalog().projections.iter();
        let projections = health.projections.iter().zip(catalog);
        let projections = projections.map(|(health, info)| Reader::of(health, info));
        let process_managers = health.process_managers.iter();
        let process_managers = process_managers.map(|health| Reader::of_subscription(health, "process manager"));
        let publications = health.publications.iter();
        let publications = publications.map(|health| Reader::of_subscription(health, "publication"));
        let readers: Vec<_> = projections.chain(process_managers).chain(publications).collect();
        if output.is_json() {
            output.json(&json!({"kind": "log", "position": health.head}))?;
        } else {
            output.line(format!("the log is at position {}", health.head))?;
        }
        print(&readers, self.late, output)
    }
}

/// Writes the readers, and says whether one needs attention.
pub(crate) fn print(readers: &[Reader], late: Age, output: &mut Output<'_>) -> Result<(), Failed> {
    if output.is_json() {
        readers.iter().try_for_each(|reader| output.json(reader))?;
    } else {
        let mut table = Table::new(&[
            "READER", "KIND", "STATUS", "POSITION", "BEHIND", "LAG", "PARKED", "RUN BY",
        ]);
        table.rows(&readers.iter().map(Reader::row).collect::<Vec<_>>(), output)?;
        for reader in readers {
            if let Some(error) = &reader.error {
                output.line(format!("{}: {error}", reader.name))?;
            }
        }
    }
    let found = readers.iter().any(|reader| reader.needs_attention(late.0));
    if found { Err(Failed::Found) } else { Ok(()) }
}

/// A reader of the log, for people and programs.
#[derive(Serialize)]
pub(crate) struct Reader {
    name: String,
    kind: &'static str,
    status: Standing,
    position: u64,
    lag_events: u64,
    lag_seconds: u64,
    parked: u64,
    owner: Option<String>,
    error: Option<String>,
    /// True if only the processes that run it know how far it is.
    in_memory: bool,
}

impl Reader {
    pub(crate) fn of(health: &ProjectionHealth, info: &ProjectionInfo) -> Self {
        Self {
            name: format!("{}@{}", health.name, health.version),
            kind: "projection",
            status: health.status,
            position: health.position.0,
            lag_events: health.lag_events,
            lag_seconds: health.lag.as_secs(),
            parked: health.parked,
            owner: health.owner.clone(),
            error: health.last_error.as_ref().map(text),
            in_memory: info.in_memory,
        }
    }

    pub(crate) fn of_subscription(health: &SubscriptionHealth, kind: &'static str) -> Self {
        Self {
            name: health.name.clone(),
            kind,
            status: health.status,
            position: health.position.0,
            lag_events: health.lag_events,
            lag_seconds: health.lag.as_secs(),
            parked: health.parked,
            owner: health.owner.clone(),
            error: health.last_error.as_ref().map(text),
            in_memory: false,
        }
    }

    pub(crate) fn needs_attention(&self, late: Duration) -> bool {
        let is_stopped = matches!(
            self.status,
            Standing::Held | Standing::Outdated | Standing::Diverged | Standing::Retrying
        );
        let is_late = self.lag_events > 0 && self.lag_seconds >= late.as_secs();
        !self.in_memory && (is_stopped || self.parked > 0 || is_late)
    }

    fn row(&self) -> Vec<String> {
        if self.in_memory {
            let unknown = std::iter::repeat_n("-".to_owned(), 5);
            let known = [&*self.name, self.kind, "in memory"].map(str::to_owned);
            return known.into_iter().chain(unknown).collect();
        }
        vec![
            self.name.clone(),
            self.kind.to_owned(),
            word(self.status),
            self.position.to_string(),
            self.lag_events.to_string(),
            rounded(Duration::from_secs(self.lag_seconds)),
            self.parked.to_string(),
            self.owner.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    }
}

/// The status in the words of its JSON.
pub(crate) fn word(status: Standing) -> String {
    let word = serde_json::to_value(status).ok();
    let word = word.as_ref().and_then(|word| word.as_str());
    word.map_or_else(|| format!("{status:?}"), |word| word.replace('_', " "))
}

fn text(failure: &Failure) -> String {
    match failure.position {
        Some(position) => format!("position {position}, {} attempts: {}", failure.attempts, failure.error),
        None => failure.error.clone(),
    }
}
