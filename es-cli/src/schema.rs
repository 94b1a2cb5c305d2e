use clap::Subcommand;
use es_runtime::runtime::{AggregateInfo, Readable, StoredKind};
use es_runtime::{Runtime, TargetKind};
use serde_json::json;

use crate::failed::Failed;
use crate::output::{Form, Output, Table};

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Schema {
    /// List the commands and events of this program
    Print(Shape),
    /// Compare the stored events with those that this program reads; the exit status is 3 if it cannot read some
    Check(Shape),
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Shape {
    #[command(flatten)]
    form: Form,
}

impl Schema {
    pub(crate) fn form(&self) -> Form {
        let (Self::Print(shape) | Self::Check(shape)) = self;
        shape.form
    }

    pub(crate) async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        match self {
            Self::Print(_) => {
                let mut rows = Vec::new();
                let mut aggregates = runtime.catalog().aggregates.iter();
                aggregates.try_for_each(|aggregate| print(aggregate, &mut rows, output))?;
                Table::new(&["AGGREGATE", "KIND", "NAME", "VERSION", "READS", ""]).rows(&rows, output)
            }
            Self::Check(_) => check(runtime, output).await,
        }
    }
}

fn print(aggregate: &AggregateInfo, rows: &mut Vec<Vec<String>>, output: &mut Output<'_>) -> Result<(), Failed> {
    #[cfg(feature = "schema")]
    let shapes = aggregate.shapes();
    let name = aggregate.name;
    for command in aggregate.commands {
        let target = match command.target {
            TargetKind::New => "creates",
            TargetKind::Existing => "needs one",
            _ => "either",
        };
        if output.is_json() {
            #[cfg_attr(not(feature = "schema"), expect(unused_mut, reason = "only the feature adds to it"))]
            let mut line = json!({"aggregate": name, "kind": "command", "name": command.name, "target": target});
            #[cfg(feature = "schema")]
            {
                line["schema"] = json!(command.schema());
            }
            output.json(&line)?;
        } else {
            let cells = [name, "command", command.name, "-", "-", target];
            rows.push(cells.map(str::to_owned).into());
        }
    }
    for event in aggregate.events {
        if output.is_json() {
            #[cfg_attr(not(feature = "schema"), expect(unused_mut, reason = "only the feature adds to it"))]
            let mut line = json!({
                "aggregate": name,
                "kind": "event",
                "name": event.name,
                "shape_version": event.shape_version,
                "oldest": event.oldest,
                "writes_from": event.writes_from,
                "aliases": event.aliases,
                "retired": event.retired,
            });
            #[cfg(feature = "schema")]
            {
                line["schema"] = json!(shapes.schema(event.name, event.shape_version));
            }
            output.json(&line)?;
        } else {
            let mut remark = if event.retired {
                vec!["retired".to_owned()]
            } else {
                Vec::new()
            };
            remark.extend(event.aliases.iter().map(|alias| format!("was {alias}")));
            rows.push(vec![
                name.to_owned(),
                "event".to_owned(),
                event.name.to_owned(),
                event.shape_version.to_string(),
                format!("{} to {}", event.oldest, event.shape_version),
                remark.join(", "),
            ]);
        }
    }
    Ok(())
}

async fn check(runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
    let report = runtime.check_events().await?;
    let mut rows = Vec::new();
    for stored in &report.stored {
        let kind = &stored.kind;
        if output.is_json() {
            output.json(&json!({
                "aggregate": kind.category,
                "event": kind.name,
                "shape_version": kind.shape_version,
                "read": word(stored),
                "count": stored.count,
                "error": stored.error,
                "advice": stored.readable.is_unreadable().then(|| stored.to_string()),
            }))?;
        } else {
            rows.push(vec![
                kind.category.clone(),
                kind.name.clone(),
                kind.shape_version.to_string(),
                word(stored).to_owned(),
            ]);
        }
    }
    Table::new(&["AGGREGATE", "EVENT", "VERSION", "READ"]).rows(&rows, output)?;
    if !output.is_json() {
        report
            .unreadable()
            .try_for_each(|stored| output.line(stored.to_string()))?;
    }
    if report.unreadable().next().is_some() {
        Err(Failed::Found)
    } else {
        Ok(())
    }
}

fn word(stored: &StoredKind) -> &'static str {
    match stored.readable {
        Readable::Yes => "yes",
        Readable::Retired => "retired",
        Readable::NotRegistered => "not registered",
        _ => "no",
    }
}
