use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::metrics::{Label, SharedString};

pub(super) use ::metrics::Unit;

/// True if metrics are recorded.
pub(crate) const ON: bool = true;

#[derive(Clone)]
pub(super) struct Labels(Vec<Label>);

impl Labels {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.0.push(Label::from_static_parts(name, value));
        self
    }

    /// Shared by the clones.
    pub(super) fn with_text(mut self, name: &'static str, value: impl ToString) -> Self {
        let value = Arc::from(value.to_string());
        self.0.push(Label::new(name, SharedString::from_shared(value)));
        self
    }
}

// Looked up each time, so that an exporter may be installed at any time.

pub(super) struct Counter(&'static str);

impl Counter {
    pub(super) const fn named(name: &'static str) -> Self {
        Self(name)
    }

    pub(super) fn describe(&self, unit: Unit, help: &'static str) {
        ::metrics::describe_counter!(self.0, unit, help);
    }

    pub(super) fn add(&self, labels: &Labels, count: u64) {
        ::metrics::counter!(self.0, labels.0.clone()).increment(count);
    }
}

pub(super) struct Gauge(&'static str);

impl Gauge {
    pub(super) const fn named(name: &'static str) -> Self {
        Self(name)
    }

    pub(super) fn describe(&self, unit: Unit, help: &'static str) {
        ::metrics::describe_gauge!(self.0, unit, help);
    }

    pub(super) fn set(&self, labels: &Labels, value: f64) {
        ::metrics::gauge!(self.0, labels.0.clone()).set(value);
    }

    pub(super) fn add(&self, labels: &Labels, value: f64) {
        ::metrics::gauge!(self.0, labels.0.clone()).increment(value);
    }
}

pub(super) struct Histogram(&'static str);

impl Histogram {
    pub(super) const fn named(name: &'static str) -> Self {
        Self(name)
    }

    pub(super) fn describe(&self, unit: Unit, help: &'static str) {
        ::metrics::describe_histogram!(self.0, unit, help);
    }

    pub(super) fn record(&self, labels: &Labels, took: &impl Took) {
        ::metrics::histogram!(self.0, labels.0.clone()).record(took.took());
    }
}

/// Since when something has been going on.
pub(crate) struct Timer(Instant);

impl Timer {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

/// The sum of several times. Clones are the same sum.
#[derive(Clone)]
pub(crate) struct Spent(Arc<AtomicU64>);

impl Spent {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Adds what the timer has measured.
    pub(crate) fn add(&self, timer: &Timer) {
        let nanos = u64::try_from(timer.0.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// A length of time.
pub(super) trait Took {
    fn took(&self) -> Duration;
}

impl Took for Timer {
    fn took(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Took for Spent {
    fn took(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}
