//! Metrics of the runtime for the facade of the crate `metrics`. Without the feature of that name they compile to
//! nothing.

#[cfg(not(feature = "metrics"))]
#[path = "metrics/off.rs"]
mod facade;
#[cfg(feature = "metrics")]
#[path = "metrics/on.rs"]
mod facade;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use facade::{Counter, Gauge, Histogram, Labels, Unit};

use crate::projection::Status;
use crate::{Clock, ExecuteError, Position, Receipt, Timestamp};

pub(crate) use facade::{ON, Spent, Timer};

/// Each metric once, with its name, its unit and what it is.
macro_rules! metrics {
    ($($metric:ident = $kind:ident($name:literal) in $unit:ident: $help:literal;)+) => {
        $(const $metric: $kind = $kind::named($name);)+

        /// Says what each metric is.
        pub(crate) fn describe() {
            $($metric.describe(Unit::$unit, $help);)+
        }
    };
}

metrics! {
    COMMANDS = Counter("es_commands_total") in Count: "Commands executed";
    COMMAND_DURATION = Histogram("es_command_duration_seconds") in Seconds: "How long commands took, with what they waited for each other and were retried";
    COMMAND_RETRIES = Counter("es_command_retries_total") in Count: "How often a command was decided again, as a rule because another writer was first";
    TRANSACTIONS = Counter("es_transactions_total") in Count: "Calls of atomically";
    TRANSACTION_DURATION = Histogram("es_transaction_duration_seconds") in Seconds: "How long calls of atomically took, retries included";
    TRANSACTION_RETRIES = Counter("es_transaction_retries_total") in Count: "How often the closure of atomically was run again";
    CACHE_LOOKUPS = Counter("es_cache_lookups_total") in Count: "How often the state of an aggregate was looked for in the cache";
    EVENTS_LOADED = Counter("es_events_loaded_total") in Count: "Events read from the store to fold the state of aggregates";
    EVENTS_APPENDED = Counter("es_events_appended_total") in Count: "Events stored";
    SNAPSHOTS = Counter("es_snapshots_total") in Count: "What became of the snapshots of aggregates";

    PROJECTION_OWNED = Gauge("es_projection_owned") in Count: "1 where this process has the lease of the projection";
    PROJECTION_POSITION = Gauge("es_projection_position") in Count: "Every event up to this position is in the projection";
    PROJECTION_LAG_EVENTS = Gauge("es_projection_lag_events") in Count: "Positions of the log that lie behind the projection's";
    PROJECTION_LAG = Gauge("es_projection_lag_seconds") in Seconds: "How long ago the first event that is not in the projection was recorded";
    PROJECTION_EVENTS = Counter("es_projection_events_total") in Count: "Events applied";
    PROJECTION_DURATION = Histogram("es_projection_batch_duration_seconds") in Seconds: "How long it took to apply and write a batch of events";
    PROJECTION_FAILURES = Counter("es_projection_failures_total") in Count: "How often the projection did not go on, or parked an event";
    PROJECTION_PANICS = Counter("es_projection_panics_total") in Count: "Panics in the projection's code";
    PROJECTION_PARKED = Gauge("es_projection_parked_events") in Count: "Events that are parked";
    INLINE_DURATION = Histogram("es_projection_inline_duration_seconds") in Seconds: "How long the methods of an inline projection took within an append";

    BUILD_POSITION = Gauge("es_projection_build_position") in Count: "Every event up to this position is in the rows that are built beside";
    BUILD_LAG_EVENTS = Gauge("es_projection_build_lag_events") in Count: "Positions of the log that are not in the rows that are built beside";
    BUILD_EVENTS = Counter("es_projection_build_events_total") in Count: "Events applied to rows that are built beside";
    BUILD_FAILURES = Counter("es_projection_build_failures_total") in Count: "How often a build beside did not go on, or parked an event";
    BUILDS = Counter("es_projection_builds_total") in Count: "Builds beside that have ended";

    SUBSCRIPTION_OWNED = Gauge("es_subscription_owned") in Count: "1 where this process has the lease of the subscription";
    SUBSCRIPTION_POSITION = Gauge("es_subscription_position") in Count: "Every event up to this position is done";
    SUBSCRIPTION_LAG_EVENTS = Gauge("es_subscription_lag_events") in Count: "Positions of the log that lie behind the subscription's";
    SUBSCRIPTION_LAG = Gauge("es_subscription_lag_seconds") in Seconds: "How long ago the first event that is not done was recorded";
    SUBSCRIPTION_EVENTS = Counter("es_subscription_events_total") in Count: "Events done: handled or acknowledged";
    SUBSCRIPTION_DURATION = Histogram("es_subscription_handler_duration_seconds") in Seconds: "How long a call of the handler took";
    SUBSCRIPTION_FAILURES = Counter("es_subscription_failures_total") in Count: "How often the subscription did not go on, or parked an event";
    SUBSCRIPTION_PANICS = Counter("es_subscription_panics_total") in Count: "Panics in the handler";
    SUBSCRIPTION_PARKED = Gauge("es_subscription_parked_events") in Count: "Events that are parked";
}

/// A command to this aggregate has ended.
pub(crate) fn executed<E>(aggregate: &'static str, timer: Timer, result: &Result<Receipt, ExecuteError<E>>) {
    let outcome = result.as_ref().map_or_else(outcome_of, |receipt| {
        let Receipt { events, repeated, .. } = receipt;
        outcome_of_receipts(*events, *repeated)
    });
    let labels = aggregate_labels(aggregate);
    COMMAND_DURATION.record(&labels, &timer);
    COMMANDS.add(&labels.with("outcome", outcome), 1);
}

/// A command to this aggregate is decided again.
pub(crate) fn retried(aggregate: &'static str) {
    COMMAND_RETRIES.add(&aggregate_labels(aggregate), 1);
}

/// A call of `atomically` has ended.
pub(crate) fn executed_atomically<E>(timer: Timer, result: &Result<Vec<Receipt>, ExecuteError<E>>) {
    let outcome = result.as_ref().map_or_else(outcome_of, |receipts| {
        let events = receipts.iter().map(|receipt| receipt.events).sum();
        outcome_of_receipts(events, receipts.iter().any(|receipt| receipt.repeated))
    });
    TRANSACTION_DURATION.record(&Labels::new(), &timer);
    TRANSACTIONS.add(&Labels::new().with("outcome", outcome), 1);
}

/// The closure of `atomically` is run again.
pub(crate) fn retried_atomically() {
    TRANSACTION_RETRIES.add(&Labels::new(), 1);
}

fn outcome_of_receipts(events: usize, repeated: bool) -> &'static str {
    match events {
        _ if repeated => "repeated",
        0 => "nothing",
        _ => "appended",
    }
}

/// Returns the outcome of a failed command, by who has to act on it.
fn outcome_of<E>(error: &ExecuteError<E>) -> &'static str {
    match error {
        ExecuteError::Conflict { .. } => "conflict",
        error if error.is_callers_fault() => "refused",
        _ => "failed",
    }
}

/// The state of an instance of this aggregate was looked for in the cache.
pub(crate) fn looked_up(aggregate: &'static str, was_there: bool) {
    let result = if was_there { "hit" } else { "miss" };
    CACHE_LOOKUPS.add(&aggregate_labels(aggregate).with("result", result), 1);
}

/// So many events of this aggregate were read to be folded.
pub(crate) fn loaded(aggregate: &'static str, events: u64) {
    EVENTS_LOADED.add(&aggregate_labels(aggregate), events);
}

/// Events of this aggregate were stored, unless they had been before.
pub(crate) fn stored(aggregate: &str, receipt: &Receipt) {
    if !receipt.repeated {
        EVENTS_APPENDED.add(&Labels::new().with_text("aggregate", aggregate), receipt.events as u64);
    }
}

/// A snapshot of this aggregate was used, written, or why not.
pub(crate) fn snapshot(aggregate: &'static str, outcome: &'static str) {
    SNAPSHOTS.add(&aggregate_labels(aggregate).with("outcome", outcome), 1);
}

fn aggregate_labels(aggregate: &'static str) -> Labels {
    Labels::new().with("aggregate", aggregate)
}

/// The metrics of a projection or a subscription.
pub(crate) struct Reader {
    told: Told,
    /// True if it has reported its position, and nobody else has since.
    stands: AtomicBool,
}

#[derive(Clone)]
struct Told {
    family: &'static Family,
    labels: Labels,
}

/// The metrics of each reader.
struct Family {
    position: Gauge,
    lag_events: Gauge,
    events: Counter,
    duration: Histogram,
    failures: Counter,
    panics: Counter,
    /// Metrics that mean nothing for rows that are being rebuilt.
    shown: Option<Shown>,
}

/// The metrics of rows that are shown, or of events that are handled.
struct Shown {
    owned: Gauge,
    lag: Gauge,
    parked: Gauge,
}

static PROJECTION: Family = Family {
    position: PROJECTION_POSITION,
    lag_events: PROJECTION_LAG_EVENTS,
    events: PROJECTION_EVENTS,
    duration: PROJECTION_DURATION,
    failures: PROJECTION_FAILURES,
    panics: PROJECTION_PANICS,
    shown: Some(Shown {
        owned: PROJECTION_OWNED,
        lag: PROJECTION_LAG,
        parked: PROJECTION_PARKED,
    }),
};

static BUILD: Family = Family {
    position: BUILD_POSITION,
    lag_events: BUILD_LAG_EVENTS,
    events: BUILD_EVENTS,
    duration: PROJECTION_DURATION,
    failures: BUILD_FAILURES,
    panics: PROJECTION_PANICS,
    shown: None,
};

static SUBSCRIPTION: Family = Family {
    position: SUBSCRIPTION_POSITION,
    lag_events: SUBSCRIPTION_LAG_EVENTS,
    events: SUBSCRIPTION_EVENTS,
    duration: SUBSCRIPTION_DURATION,
    failures: SUBSCRIPTION_FAILURES,
    panics: SUBSCRIPTION_PANICS,
    shown: Some(Shown {
        owned: SUBSCRIPTION_OWNED,
        lag: SUBSCRIPTION_LAG,
        parked: SUBSCRIPTION_PARKED,
    }),
};

impl Reader {
    /// Of a projection, or of this segment of it.
    pub(crate) fn of_projection(name: &'static str, version: u32, segment: Option<u32>) -> Self {
        let mut labels = Labels::new().with("projection", name).with_text("version", version);
        if let Some(segment) = segment {
            labels = labels.with_text("segment", segment);
        }
        Self::new(&PROJECTION, labels)
    }

    pub(crate) fn of_subscription(name: &str) -> Self {
        Self::new(&SUBSCRIPTION, Labels::new().with_text("subscription", name))
    }

    /// Returns the metrics of a rebuild of this projection.
    pub(crate) fn beside(&self) -> Self {
        Self::new(&BUILD, self.told.labels.clone())
    }

    fn new(family: &'static Family, labels: Labels) -> Self {
        Self {
            told: Told { family, labels },
            stands: AtomicBool::new(false),
        }
    }

    fn tell(&self, tell: impl FnOnce(&Family, &Labels)) {
        if ON {
            tell(self.told.family, &self.told.labels);
        }
    }

    fn tell_shown(&self, tell: impl FnOnce(&Shown, &Labels)) {
        self.tell(|family, labels| {
            if let Some(shown) = &family.shown {
                tell(shown, labels);
            }
        });
    }

    /// It has begun to wait for its lease: also who never has it is there to be seen.
    pub(crate) fn begin(&self) {
        self.tell_shown(|shown, labels| shown.owned.add(labels, 0.0));
    }

    /// It has its lease until what is given is dropped.
    pub(crate) fn own(&self) -> Owned {
        self.tell_shown(|shown, labels| shown.owned.add(labels, 1.0));
        Owned(self.told.clone())
    }

    /// Where it stands. `next` is when the first event behind that was recorded, if there is one.
    pub(crate) fn stand(&self, position: Position, head: Position, next: Option<Timestamp>, clock: &dyn Clock) {
        self.tell(|family, labels| {
            self.stands.store(true, Ordering::Relaxed);
            family.position.set(labels, as_f64(position.0));
            family.lag_events.set(labels, as_f64(head.0.saturating_sub(position.0)));
        });
        self.tell_shown(|shown, labels| {
            let lag = next.map_or(Duration::ZERO, |next| {
                let micros = clock.now().as_micros() - next.as_micros();
                Duration::from_micros(u64::try_from(micros).unwrap_or_default())
            });
            shown.lag.set(labels, lag.as_secs_f64());
        });
    }

    /// Another process reports it from now on, if any does; or the build has ended.
    pub(crate) fn leave(&self) {
        if self.stands.swap(false, Ordering::Relaxed) {
            self.tell(|family, labels| {
                let shown = family.shown.as_ref();
                let of_shown = shown.into_iter().flat_map(|shown| [&shown.lag, &shown.parked]);
                for gauge in of_shown.chain([&family.position, &family.lag_events]) {
                    gauge.set(labels, 0.0);
                }
            });
        }
    }

    /// A rebuild of this projection's rows has ended: they were `replaced`, or `kept`, or it was `cancelled`.
    pub(crate) fn built(&self, outcome: &'static str) {
        self.tell(|_, labels| BUILDS.add(&labels.clone().with("outcome", outcome), 1));
    }

    /// Its methods took so long within an append.
    pub(crate) fn inlined(&self, spent: &Spent) {
        self.tell(|_, labels| INLINE_DURATION.record(labels, spent));
    }

    /// So many events are done.
    pub(crate) fn took(&self, events: usize) {
        self.tell(|family, labels| family.events.add(labels, events as u64));
    }

    /// A batch was applied, or a handler called, in this time.
    pub(crate) fn worked(&self, timer: Timer) {
        self.tell(|family, labels| family.duration.record(labels, &timer));
    }

    /// It did not go on, and what it does now.
    pub(crate) fn failed(&self, status: Status) {
        let kind = match status {
            Status::Held => "held",
            Status::Diverged => "diverged",
            Status::Outdated => "outdated",
            Status::Stopped => "stopped",
            _ => "retrying",
        };
        self.fail(kind);
    }

    /// An event was parked.
    pub(crate) fn parked(&self) {
        self.fail("parked");
        self.tell_shown(|shown, labels| shown.parked.add(labels, 1.0));
    }

    fn fail(&self, kind: &'static str) {
        self.tell(|family, labels| family.failures.add(&labels.clone().with("kind", kind), 1));
    }

    pub(crate) fn panicked(&self) {
        self.tell(|family, labels| family.panics.add(labels, 1));
    }

    /// So many events are parked.
    pub(crate) fn has_parked(&self, events: u64) {
        self.tell_shown(|shown, labels| shown.parked.set(labels, as_f64(events)));
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "what is shown of it need not be exact beyond 2^53"
)]
fn as_f64(number: u64) -> f64 {
    number as f64
}

/// That this process has a lease.
pub(crate) struct Owned(Told);

impl Drop for Owned {
    fn drop(&mut self) {
        let Told { family, labels } = &self.0;
        if let Some(shown) = &family.shown {
            shown.owned.add(labels, -1.0);
        }
    }
}
