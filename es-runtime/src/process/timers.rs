//! Has timers elapse when they are due, by the store's clock.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, sleep};

use super::ProcessManager;
use super::engine::{Engine, newest};
use super::step::{Brief, elapse};
use crate::projection::Status;
use crate::subscription::{Halt, Standing};
use crate::{AppendId, StoreError, StreamId, Timestamp};

/// The longest time without a look at the store's clock, while a timer is set, and for the lease.
const TICK: Duration = Duration::from_secs(1);

/// The shortest one.
const SHORTEST: Duration = Duration::from_millis(5);

/// The instances whose timers elapse side by side, and those that are found at once.
const AT_ONCE: usize = 64;
const MOST: usize = 1_000;

/// The time from one removal of ended instances from the index to the next, and the time for which it remembers them: longer than the
/// log is behind.
const TIDYING: Duration = Duration::from_secs(60 * 60);
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The knowledge that is kept from one look to the next.
#[derive(Default)]
struct Memory {
    stuck: HashMap<String, Stuck>,
    tidied: Option<Instant>,
}

/// An instance whose last step could not be read or followed.
struct Stuck {
    attempts: u32,
    again: Instant,
}

/// Works for as long as it is polled, whenever this process has the lease.
pub(crate) async fn run<P: ProcessManager>(engine: Arc<Engine<P>>, standing: Arc<Standing>) {
    let mut memory = Memory::default();
    loop {
        let pause = match turn(&engine, &standing, &mut memory).await {
            Ok(pause) => pause,
            Err(halt) => {
                standing.fail(Status::Retrying, &halt, None);
                TICK
            }
        };
        sleep(pause).await;
    }
}

/// Looks once. Returns the time until the next look.
async fn turn<P: ProcessManager>(
    engine: &Engine<P>,
    standing: &Standing,
    Memory { stuck, tidied }: &mut Memory,
) -> Result<Duration, Halt> {
    let Some(epoch) = standing.state().epoch else {
        return Ok(TICK);
    };
    let Some(runtime) = engine.runtime.upgrade() else {
        return Ok(TICK);
    };
    let log = &**runtime.store();
    engine.index.enter(log, epoch).await?;
    let is_tidy = tidied.is_some_and(|at| at.elapsed() < TIDYING);
    if is_tidy && !engine.index.has_timers() {
        return Ok(TICK);
    }
    let now = log.now().await?;
    if !is_tidy {
        engine.index.forget_ended(earlier(now, KEPT)).await?;
        *tidied = Some(Instant::now());
    }
    let begun = Instant::now();
    let mut due = engine.index.due(now, MOST + stuck.len());
    due.retain(|key| stuck.get(key).is_none_or(|stuck| stuck.again <= begun));
    let is_more = due.len() >= MOST;
    let elapsed = stream::iter(due).map(|key| async {
        let elapsed = engine.elapse(&key, now).await;
        (key, elapsed)
    });
    let mut elapsed = elapsed.buffer_unordered(AT_ONCE);
    while let Some((key, elapsed)) = elapsed.next().await {
        match elapsed {
            Ok(()) => drop(stuck.remove(&key)),
            Err(halt) => {
                let before = stuck.get(&key).map_or(0, |stuck| stuck.attempts);
                let pause = TICK * 2_u32.saturating_pow(before.min(9));
                let again = Instant::now() + pause;
                let attempts = before + u32::from(matches!(halt, Halt::Never(_)));
                stuck.insert(key.clone(), Stuck { attempts, again });
                let error = StoreError::new(crate::StoreErrorKind::Unavailable, format!("instance `{key}`: {halt}"));
                standing.fail(Status::Retrying, &error, None);
            }
        }
    }
    if is_more {
        return Ok(Duration::ZERO);
    }
    let next = engine.index.next_due(now).map_or(TICK, |at| between(now, at));
    Ok(next.clamp(SHORTEST, TICK))
}

fn earlier(than: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(than.as_micros().saturating_sub(by)).unwrap_or(Timestamp::MIN)
}

/// The time from one to the other; none if that is earlier.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    let micros = to.as_micros().saturating_sub(from.as_micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

impl<P: ProcessManager> Engine<P> {
    /// Has the timers of the instance that are due elapse. They are heard when that step comes through the log: so a reaction that
    /// fails is found, and parked, like any other.
    async fn elapse(&self, key: &str, now: Timestamp) -> Result<(), Halt> {
        let Some(runtime) = self.runtime.upgrade() else {
            return Ok(());
        };
        let stream = StreamId::new(P::NAME, key);
        while let Some(step) = newest(&**runtime.store(), &stream).await? {
            let id = AppendId::new();
            match elapse(&step, now, id.event_id(0))? {
                Some(part) => runtime.append_part(id, part).await?,
                None => return self.index.note(&Brief::read(&step)?).await,
            };
        }
        Ok(())
    }
}
