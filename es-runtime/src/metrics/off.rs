//! The same as nothing.

/// True if metrics are recorded.
pub(crate) const ON: bool = false;

pub(super) use Silent as Counter;
pub(super) use Silent as Gauge;
pub(super) use Silent as Histogram;

pub(super) enum Unit {
    Count,
    Seconds,
}

#[derive(Clone)]
pub(super) struct Labels;

impl Labels {
    pub(super) fn new() -> Self {
        Self
    }

    pub(super) fn with(self, _: &'static str, _: &'static str) -> Self {
        self
    }

    pub(super) fn with_text(self, _: &'static str, _: impl ToString) -> Self {
        self
    }
}

pub(super) struct Silent;

#[expect(clippy::unused_self, reason = "what tells something needs it")]
impl Silent {
    pub(super) const fn named(_: &'static str) -> Self {
        Self
    }

    pub(super) fn describe(&self, _: Unit, _: &'static str) {}

    pub(super) fn add<N>(&self, _: &Labels, _: N) {}

    pub(super) fn set(&self, _: &Labels, _: f64) {}

    pub(super) fn record<T>(&self, _: &Labels, _: &T) {}
}

pub(crate) struct Timer;

impl Timer {
    pub(crate) fn start() -> Self {
        Self
    }
}

#[derive(Clone)]
pub(crate) struct Spent;

impl Spent {
    pub(crate) fn new() -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "what measures something needs it")]
    pub(crate) fn add(&self, _: &Timer) {}
}
