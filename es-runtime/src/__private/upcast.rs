//! The steps from one version of an event to the next, and back.

use std::any::Any;
use std::error::Error;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{DecodeError, EncodeError, Stored, UpcastPanic};

/// Says that this is the shape before `New`. Written for what is named in `from = …`, so that one that is no event is one error,
/// at that implementation.
pub trait OldShape<New>: Stored {}

/// The error of a step, whatever it is.
pub type StepError = Box<dyn Error + Send + Sync>;

/// Turns the shape `Old` into this one: `From`, with words of ours if it is missing.
#[diagnostic::on_unimplemented(
    message = "nothing turns `{Old}` into `{Self}`",
    label = "`impl From<{Old}> for {Self}` is missing",
    note = "write `impl From<{Old}> for {Self}`; if a stored value may be one that cannot be turned, say `try_from` instead of `from` and write `impl TryFrom<{Old}> for {Self}`"
)]
pub trait UpcastFrom<Old>: Sized {
    fn upcast_from(old: Old) -> Self;
}

impl<Old, New: From<Old>> UpcastFrom<Old> for New {
    fn upcast_from(old: Old) -> Self {
        old.into()
    }
}

/// Turns the shape `Old` into this one, or says why it cannot: `TryFrom`, with words of ours if it is missing.
#[diagnostic::on_unimplemented(
    message = "nothing tries to turn `{Old}` into `{Self}`",
    label = "`impl TryFrom<{Old}> for {Self}` is missing",
    note = "write `impl TryFrom<{Old}> for {Self}` with an error that implements `std::error::Error`, `Send` and `Sync`"
)]
pub trait TryUpcastFrom<Old>: Sized {
    fn try_upcast_from(old: Old) -> Result<Self, StepError>;
}

impl<Old, New: TryFrom<Old, Error: Into<StepError>>> TryUpcastFrom<Old> for New {
    fn try_upcast_from(old: Old) -> Result<Self, StepError> {
        Self::try_from(old).map_err(Into::into)
    }
}

/// A step that cannot fail.
pub fn upcast<New: UpcastFrom<Old>, Old>(old: Old) -> Result<New, StepError> {
    Ok(New::upcast_from(old))
}

/// Turns the type that a field had into this one: `From`, with words of ours if it is missing.
#[diagnostic::on_unimplemented(
    message = "nothing turns `{Old}`, which the field was, into `{Self}`, which it is",
    label = "`impl From<{Old}> for {Self}` is missing",
    note = "write `impl From<{Old}> for {Self}`, or name a function from one to the other: `changed(since = …, from = {Old}, with = path)`"
)]
pub trait ChangedFrom<Old> {
    fn changed_from(old: Old) -> Self;
}

impl<Old, New: From<Old>> ChangedFrom<Old> for New {
    fn changed_from(old: Old) -> Self {
        old.into()
    }
}

/// The new value of a field whose type has changed.
pub fn changed<New: ChangedFrom<Old>, Old>(old: Old) -> New {
    New::changed_from(old)
}

/// A step that can fail.
pub fn try_upcast<New: TryUpcastFrom<Old>, Old>(old: Old) -> Result<New, StepError> {
    New::try_upcast_from(old)
}

/// Reads an event that has older shapes, of which `Old` is the one before.
pub fn decode_chain<New: Stored, Old: OldShape<New>>(
    shape_version: u32,
    payload: &[u8],
    step: impl FnOnce(Old) -> Result<New, StepError>,
) -> Result<New, DecodeError> {
    if shape_version == New::SHAPE_VERSION {
        return crate::json::decode(payload);
    }
    if shape_version < New::OLDEST_VERSION || shape_version > New::SHAPE_VERSION {
        return Err(DecodeError::unknown_version::<New>());
    }
    let old = Old::decode(shape_version, payload)?;
    guarded(Old::SHAPE_VERSION, New::SHAPE_VERSION, || step(old))
}

/// Runs a step of the user's, which may panic.
pub(super) fn guarded<T>(from: u32, to: u32, step: impl FnOnce() -> Result<T, StepError>) -> Result<T, DecodeError> {
    // The half-done work of the step is dropped with it.
    catch_unwind(AssertUnwindSafe(step))
        .unwrap_or_else(|panic| {
            Err(UpcastPanic {
                message: message(&*panic),
            }
            .into())
        })
        .map_err(|source| DecodeError::Upcast { from, to, source })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it did not say why")
        .to_owned()
}

/// Writes an event that has older shapes, of which `Old` is the one before.
pub fn encode_chain<New: Stored, Old: OldShape<New>>(
    event: &New,
    shape_version: u32,
    out: &mut Vec<u8>,
    back: impl FnOnce(New) -> Option<Old>,
) -> Result<(), EncodeError> {
    if shape_version == New::SHAPE_VERSION {
        return event.encode(out);
    }
    let no_way_back = || EncodeError::no_way_back::<New>(shape_version);
    if shape_version < New::WRITES_FROM || shape_version > New::SHAPE_VERSION {
        return Err(no_way_back());
    }
    let old = back(event.clone()).ok_or_else(no_way_back)?;
    old.encode_as(shape_version, out)
}

/// Asks whether `Old: From<New>`, for concrete types. If so, `Back::<New, Old>::EXISTS` and `::step` are the ones
/// written here, as an inherent item takes precedence over one from a trait, and otherwise those of [`NoWayBack`].
pub struct Back<New, Old>(PhantomData<(New, Old)>);

impl<New, Old: From<New>> Back<New, Old> {
    pub const EXISTS: bool = true;

    pub fn step(new: New) -> Option<Old> {
        Some(new.into())
    }
}

/// See [`Back`].
pub trait NoWayBack<New, Old> {
    const EXISTS: bool = false;

    fn step(_: New) -> Option<Old> {
        None
    }
}

impl<New, Old> NoWayBack<New, Old> for Back<New, Old> {}

/// `OLDEST_VERSION` of a shape that comes from `Old`. Asked of `Old` only if that is older, as it would go round in a circle if the
/// shapes do; the circle is reported by [`assert_chain`](super::assert_chain).
pub const fn oldest<New: Stored, Old: OldShape<New>>() -> u32 {
    const fn of<E: Stored>() -> u32 {
        E::OLDEST_VERSION
    }
    if follows::<New, Old>() {
        of::<Old>()
    } else {
        New::SHAPE_VERSION
    }
}

/// `WRITES_FROM` of a shape that comes from `Old`.
pub const fn writes_from<New: Stored, Old: OldShape<New>>(way_back: bool) -> u32 {
    const fn of<E: Stored>() -> u32 {
        E::WRITES_FROM
    }
    if way_back && follows::<New, Old>() {
        of::<Old>()
    } else {
        New::SHAPE_VERSION
    }
}

const fn follows<New: Stored, Old: OldShape<New>>() -> bool {
    New::SHAPE_VERSION > Old::SHAPE_VERSION && New::SHAPE_VERSION - Old::SHAPE_VERSION == 1
}
