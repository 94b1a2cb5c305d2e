use std::fmt;
use std::time::Duration;

use es_runtime::Health;
use es_runtime::prelude::*;
use es_runtime::projection::SegmentHealth;
use serde_json::{Value, json};

use crate::balance::Balance;
use crate::error::BankError;
use crate::progress::Progress;
use crate::report::Report;

/// The status of the projections.
pub(crate) struct Status(Health);

pub(crate) async fn status(bank: &Runtime) -> Result<Status, BankError> {
    Ok(Status(bank.health().await?))
}

/// Keeps the read models up to date until it is interrupted, and tells how they were then.
pub(crate) async fn run(bank: &Runtime) -> Result<Status, BankError> {
    let mut last = None;
    let interrupted = async { last = Some((tokio::signal::ctrl_c().await, bank.health().await)) };
    bank.run_until(interrupted).await?;
    let (heard, health) = last.unwrap_or_else(|| unreachable!("it was interrupted"));
    heard.map_err(BankError::Signal)?;
    Ok(Status(health?))
}

/// Builds the balances anew, and shows how far that is. The old ones are shown meanwhile.
pub(crate) async fn rebuild(
    bank: &Runtime,
    throttle: Option<u32>,
    mut progress: Progress,
) -> Result<Status, BankError> {
    let balances = bank.projection::<Balance>();
    let rebuild = balances.rebuild().compare();
    match throttle {
        Some(events) => rebuild.throttle(events).await?,
        None => rebuild.await?,
    }
    loop {
        let Some(build) = balances.status().await?.build else {
            progress.done();
            return status(bank).await;
        };
        progress.built(&build);
        if let Some(failure) = build.last_error {
            progress.done();
            return Err(BankError::NotBuilt(failure.error));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl Report for Status {
    fn json(&self) -> Value {
        let segment = |segment: &SegmentHealth| {
            json!({
                "status": format!("{:?}", segment.status),
                "position": segment.position,
                "owner": segment.owner,
                "parked": segment.parked,
            })
        };
        let projection = |projection: &es_runtime::projection::ProjectionHealth| {
            json!({
                "name": projection.name,
                "version": projection.version,
                "status": format!("{:?}", projection.status),
                "ready": projection.ready,
                "position": projection.position,
                "lag_events": projection.lag_events,
                "lag_seconds": projection.lag.as_secs_f64(),
                "rate": projection.rate,
                "owner": projection.owner,
                "runs_here": projection.runs_here,
                "panics": projection.panics,
                "parked": projection.parked,
                "segments": projection.segments.iter().map(segment).collect::<Value>(),
                "build": projection.build.as_ref().map(|build| json!({ "done": build.done, "total": build.total })),
                "rebuilt": projection.rebuilt,
                "last_error": projection.last_error.as_ref().map(|failure| &failure.error),
            })
        };
        json!({
            "head": self.0.head,
            "projections": self.0.projections.iter().map(projection).collect::<Value>(),
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the bank is at position {}", self.0.head)?;
        for projection in &self.0.projections {
            write!(
                f,
                "\n{} v{}  {:?} at position {}, {} behind ({:.1} s), {} parked",
                projection.name,
                projection.version,
                projection.status,
                projection.position,
                projection.lag_events,
                projection.lag.as_secs_f64(),
                projection.parked,
            )?;
            match &projection.owner {
                Some(_) if projection.runs_here => {}
                Some(owner) => write!(f, "\n  run by {owner}, {:.0} events/s", projection.rate)?,
                None => write!(f, "\n  run by no process")?,
            }
            for (number, segment) in several(&projection.segments).iter().enumerate() {
                let owner = segment.owner.as_deref().unwrap_or("no process");
                let (status, position) = (segment.status, segment.position);
                write!(
                    f,
                    "\n  segment {number}: {status:?} at position {position}, run by {owner}"
                )?;
            }
            if let Some(build) = &projection.build {
                write!(f, "\n  being built: {} of {} are done", build.done, build.total)?;
            }
            if let Some(rebuilt) = &projection.rebuilt {
                let differ = rebuilt.differences.as_ref().map_or(0, |differences| differences.count);
                write!(f, "\n  built anew at {}: {differ} rows differed", rebuilt.at)?;
            }
            if let Some(failure) = &projection.last_error {
                write!(f, "\n  {} (attempt {})", failure.error, failure.attempts)?;
            }
        }
        Ok(())
    }
}

/// The segments of a projection that is partitioned.
fn several(segments: &[SegmentHealth]) -> &[SegmentHealth] {
    if segments.len() > 1 { segments } else { &[] }
}
