//! How a case says what it expected and what came.

use std::fmt::{self, Debug, Display};
use std::panic::Location;

use es_runtime::store::AppendError;
use es_runtime::store::{CheckpointError, CommitError};
use es_runtime::{ExpectedVersion, StartError, StoreError, StreamId, Version};

/// The end of a case: the promise is kept, or it stopped before.
pub(crate) type Checked<T = ()> = Result<T, Stop>;

/// Why a case ended before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The store broke the promise.
    Broken(Box<Breach>),
    /// The fixture cannot do what the case needs.
    Skipped(&'static str),
}

/// How a promise was broken.
#[derive(Debug)]
pub(crate) struct Breach {
    what: String,
    expected: String,
    came: String,
    at: &'static Location<'static>,
}

impl Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  of:       {}", self.what)?;
        writeln!(f, "  expected: {}", self.expected)?;
        writeln!(f, "  came:     {}", self.came)?;
        write!(f, "  at {}", self.at)
    }
}

impl Stop {
    #[track_caller]
    pub(crate) fn broken(what: impl Display, expected: impl Display, came: impl Display) -> Self {
        Self::Broken(Box::new(Breach {
            what: what.to_string(),
            expected: shortened(expected.to_string()),
            came: shortened(came.to_string()),
            at: Location::caller(),
        }))
    }
}

/// A payload at the limit should not bury the sentence that it stands in.
fn shortened(text: String) -> String {
    const MOST: usize = 2_000;
    if text.len() <= MOST {
        return text;
    }
    let start: String = text.chars().take(MOST).collect();
    format!("{start}… ({} bytes)", text.len())
}

impl From<StoreError> for Stop {
    #[track_caller]
    fn from(error: StoreError) -> Self {
        Self::broken(
            "a call to the store",
            "success",
            format_args!("{error} ({:?})", error.kind()),
        )
    }
}

impl From<StartError> for Stop {
    #[track_caller]
    fn from(error: StartError) -> Self {
        Self::broken("a runtime over the store", "to start", error)
    }
}

impl From<AppendError> for Stop {
    #[track_caller]
    fn from(error: AppendError) -> Self {
        Self::broken("an append", "success", format_args!("{error} ({error:?})"))
    }
}

impl From<CheckpointError> for Stop {
    #[track_caller]
    fn from(error: CheckpointError) -> Self {
        Self::broken("a read of a checkpoint", "success", format_args!("{error} ({error:?})"))
    }
}

impl From<CommitError> for Stop {
    #[track_caller]
    fn from(error: CommitError) -> Self {
        Self::broken(
            "a commit of a projection",
            "success",
            format_args!("{error} ({error:?})"),
        )
    }
}

/// The two must be equal.
#[expect(clippy::needless_pass_by_value, reason = "so that cases read as plain comparisons")]
#[track_caller]
pub(crate) fn same<T: PartialEq + Debug>(what: impl Display, came: T, expected: T) -> Checked {
    if came == expected {
        return Ok(());
    }
    Err(Stop::broken(
        what,
        format_args!("{expected:?}"),
        format_args!("{came:?}"),
    ))
}

/// The condition must hold; `came` says what is so instead.
#[track_caller]
pub(crate) fn holds(condition: bool, what: impl Display, expected: impl Display, came: impl Debug) -> Checked {
    if condition {
        return Ok(());
    }
    Err(Stop::broken(what, expected, format_args!("{came:?}")))
}

/// The value must be there.
#[track_caller]
pub(crate) fn present<T>(what: impl Display, value: Option<T>) -> Checked<T> {
    value.ok_or_else(|| Stop::broken(what, "to be there", "nothing"))
}

/// The append must be refused as a conflict that tells the stream and its true version.
#[track_caller]
pub(crate) fn conflict<T: Debug>(
    result: Result<T, AppendError>,
    on: &StreamId,
    demanded: ExpectedVersion,
    at: impl Into<Version>,
) -> Checked {
    let at = at.into();
    let right = matches!(&result, Err(AppendError::Conflict { stream, expected, actual })
        if stream == on && *expected == demanded && *actual == at);
    holds(
        right,
        format_args!("an append to `{on}` that demands {demanded}"),
        format_args!("Conflict {{ stream: {on}, expected: {demanded}, actual: {at} }}"),
        result,
    )
}

/// The result must be an error that `is` tells.
#[track_caller]
pub(crate) fn refused<T: Debug>(
    what: impl Display,
    result: Result<T, AppendError>,
    expected: impl Display,
    is: impl FnOnce(&AppendError) -> bool,
) -> Checked {
    let right = result.as_ref().is_err_and(is);
    holds(right, what, expected, result)
}

/// Adds which of several tries it was to what a check says.
pub(crate) trait Among {
    /// Names the try.
    fn among(self, which: impl Display) -> Self;
}

impl<T> Among for Checked<T> {
    fn among(self, which: impl Display) -> Self {
        self.map_err(|stop| match stop {
            Stop::Broken(mut breach) => {
                breach.what = format!("{} ({which})", breach.what);
                Stop::Broken(breach)
            }
            skipped @ Stop::Skipped(_) => skipped,
        })
    }
}
