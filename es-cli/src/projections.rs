use es_runtime::projection::{Build, ProjectionHealth};
use es_runtime::{ProjectionHandle, Runtime};
use serde_json::json;

use crate::age::{Age, rounded};
use crate::failed::Failed;
use crate::names::unknown;
use crate::output::{Form, Output, Table};
use crate::status::{Reader, word};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Projections {
    /// Only this one, such as balances or balances@2
    name: Option<String>,
    /// The lag from which one needs attention, such as 90s or 10m
    #[arg(long, value_name = "TIME", default_value = "60s")]
    late: Age,
    #[command(flatten)]
    pub(crate) form: Form,
}

impl Projections {
    pub(crate) async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        let (mut all, mut errors) = (Vec::new(), Vec::new());
        let mut found = false;
        for projection in named(runtime, self.name.as_deref())? {
            let (health, versions) = (projection.status().await?, projection.versions().await?);
            let info = runtime.catalog().projections.iter();
            let info = info.filter(|info| info.name == health.name);
            let mut info = info.filter(|info| info.version == health.version);
            found |= info.any(|info| Reader::of(&health, info).needs_attention(self.late.0));
            if output.is_json() {
                output.json(&json(&health, &versions))?;
            } else {
                all.extend(rows(&health, &versions));
                for (index, segment) in health.segments.iter().enumerate() {
                    if let Some(failure) = &segment.last_error {
                        let of = health.segments.len();
                        let name = format!("{}@{}", health.name, health.version);
                        let position = failure.position.map(|position| format!(", position {position}"));
                        let position = position.unwrap_or_default();
                        errors.push(format!(
                            "{name}, segment {}/{of}{position}: {}",
                            index + 1,
                            failure.error
                        ));
                    }
                }
            }
        }
        let mut table = Table::new(&[
            "PROJECTION",
            "SEGMENT",
            "STATUS",
            "ROWS",
            "POSITION",
            "BEHIND",
            "LAG",
            "EVENTS/S",
            "PARKED",
            "STORED",
            "RUN BY",
        ]);
        table.rows(&all, output)?;
        errors.iter().try_for_each(|error| output.line(error))?;
        if found { Err(Failed::Found) } else { Ok(()) }
    }
}

/// Returns the projections of this name, which may hold a version; all if there is none.
pub(crate) fn named<'r>(runtime: &'r Runtime, name: Option<&str>) -> Result<Vec<ProjectionHandle<'r>>, Failed> {
    let all = || runtime.projections();
    let Some(name) = name else {
        return Ok(all().collect());
    };
    let is_named = |handle: &ProjectionHandle<'_>| handle.name() == name || with_version(handle) == name;
    let named: Vec<_> = all().filter(is_named).collect();
    if named.is_empty() {
        return Err(unknown("projection", name, all().map(|handle| handle.name())));
    }
    Ok(named)
}

pub(crate) fn with_version(projection: &ProjectionHandle<'_>) -> String {
    format!("{}@{}", projection.name(), projection.version())
}

fn json(health: &ProjectionHealth, versions: &[u32]) -> serde_json::Value {
    let segments: Vec<_> = health
        .segments
        .iter()
        .map(|segment| {
            json!({
                "status": segment.status,
                "position": segment.position,
                "lag_events": segment.lag_events,
                "lag_seconds": segment.lag.as_secs(),
                "rate": segment.rate,
                "parked": segment.parked,
                "panics": segment.panics,
                "progressed_at": segment.progressed_at,
                "owner": segment.owner,
                "error": segment.last_error,
            })
        })
        .collect();
    json!({
        "name": health.name,
        "version": health.version,
        "status": health.status,
        "ready": health.ready,
        "position": health.position,
        "lag_events": health.lag_events,
        "lag_seconds": health.lag.as_secs(),
        "rate": health.rate,
        "parked": health.parked,
        "owner": health.owner,
        "segments": segments,
        "build": health.build.as_ref().map(|build| json!({
            "position": build.done,
            "of": build.total,
            "rate": build.rate,
            "error": build.last_error,
        })),
        "rebuilt": health.rebuilt.as_ref().map(|rebuilt| json!({
            "at": rebuilt.at,
            "replaced": rebuilt.replaced,
            "differences": rebuilt.differences,
        })),
        "stored_versions": versions,
    })
}

fn rows(health: &ProjectionHealth, versions: &[u32]) -> Vec<Vec<String>> {
    let of = health.segments.len();
    let stored: Vec<_> = versions.iter().map(|version| format!("@{version}")).collect();
    let rows = health.segments.iter().enumerate().map(|(index, segment)| {
        vec![
            format!("{}@{}", health.name, health.version),
            format!("{}/{of}", index + 1),
            word(segment.status),
            health
                .build
                .as_ref()
                .map_or_else(|| "shown".to_owned(), |build| built(health.ready, build)),
            segment.position.to_string(),
            segment.lag_events.to_string(),
            rounded(segment.lag),
            format!("{:.0}", segment.rate),
            segment.parked.to_string(),
            stored.join(" "),
            segment.owner.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    });
    rows.collect()
}

/// The progress of a build, in percent.
fn built(is_shown: bool, build: &Build) -> String {
    let percent = build.done.0.saturating_mul(100) / build.total.0.max(1);
    let verb = if is_shown { "shown, rebuilt" } else { "built" };
    format!("{verb} to {percent} %")
}
