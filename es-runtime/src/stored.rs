//! Values that are stored under a name and the version of their shape, and read in older shapes too.

use std::error::Error as StdError;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::LimitExceeded;

/// A type whose values are stored in JSON, under a name and the version of their shape. Written by `#[event]` and
/// `#[entity]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither an event nor an entity",
    label = "not stored under a name",
    note = "add `#[event]` or `#[entity(id = …)]` to `struct {Self}`"
)]
pub trait Stored: Serialize + DeserializeOwned + Debug + Clone + PartialEq + Send + Sync + 'static {
    /// The name under which it is stored. Part of the data: it stays when the Rust type is renamed.
    const NAME: &'static str;

    /// The version of the shape that is written today.
    const SHAPE_VERSION: u32 = 1;

    /// The oldest version of the shape that can be read.
    const OLDEST_VERSION: u32 = Self::SHAPE_VERSION;

    /// The oldest version of the shape that [`encode_as`](Self::encode_as) can write.
    const WRITES_FROM: u32 = Self::SHAPE_VERSION;

    /// Names under which it was stored before: they are read, but no longer written.
    const ALIASES: &'static [&'static str] = &[];

    /// Returns whether each value of the type is known to come back unchanged from its stored form, so that
    /// [`encode`](Self::encode) need not read it back. The macros say so of numbers of up to 64 bits, `bool`, text,
    /// `Vec`, maps with such keys, `Option` of what is never `null`, and `#[value]` types made of these, where no serde
    /// attribute may have them stored otherwise.
    fn is_plain() -> bool {
        false
    }

    /// Appends the stored form of the value to `out`: JSON that reads back as the same value.
    ///
    /// # Errors
    ///
    /// If the value holds a NaN or an infinity, for which JSON has no form, if it nests deeper than could be read, if its `Serialize`
    /// implementation fails, or if the JSON cannot be read, or is read as another value: compared by `PartialEq`, and by `Debug` if a
    /// value is not equal to itself. `out` then holds what cannot be stored.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let stored = crate::json::store(self, Self::is_plain(), out);
        stored
            .map(drop)
            .map_err(|error| error.of(Self::NAME, format_args!("the payload of `{}`", Self::NAME)))
    }

    /// Appends the value in the shape of an older version, for a store that builds read which do not know the current one.
    ///
    /// # Errors
    ///
    /// Those of [`encode`](Self::encode), and [`EncodeError::NoWayBack`] for a version that is not in
    /// `WRITES_FROM..=SHAPE_VERSION`.
    fn encode_as(&self, shape_version: u32, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if shape_version == Self::SHAPE_VERSION {
            self.encode(out)
        } else {
            Err(EncodeError::no_way_back::<Self>(shape_version))
        }
    }

    /// Reads a value from a payload that was stored with `shape_version`: in the shape of that version, which is then
    /// turned into the next one until it is the current one.
    ///
    /// # Errors
    ///
    /// [`DecodeError::UnknownVersion`] for a version that is not in `OLDEST_VERSION..=SHAPE_VERSION`,
    /// [`DecodeError::Malformed`] for a payload that is not of that shape, and [`DecodeError::Upcast`] if a step between two
    /// versions fails.
    fn decode(shape_version: u32, payload: &[u8]) -> Result<Self, DecodeError> {
        if shape_version == Self::SHAPE_VERSION {
            crate::json::decode(payload)
        } else {
            Err(DecodeError::unknown_version::<Self>())
        }
    }

    /// Adds every shape from which the value can be read to `out`. An implementation by hand says here
    /// `out.add::<Self>(Self::NAME, Self::SHAPE_VERSION)`.
    #[cfg(feature = "schema")]
    fn shapes(out: &mut crate::schema::Shapes) {
        out.unknown::<Self>(Self::NAME, Self::SHAPE_VERSION);
    }
}

/// An event, an entity or a command could not be turned into its stored form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Its `Serialize` implementation failed, it holds a value that JSON has no form for, or it would not be read back as it is.
    #[error("`{name}` cannot be stored: {source}")]
    Value {
        /// Its name.
        name: &'static str,
        /// The error of its `Serialize` implementation, or of the check of the value.
        #[source]
        source: serde_json::Error,
    },
    /// It nests deeper than could be read.
    #[error(transparent)]
    TooDeep(#[from] LimitExceeded),
    /// It is to be written in a shape that there is no way back to.
    #[error(
        "`{name}` cannot be written with shape version {shape_version}, only with {writes_from} to {current}: give the steps between them a way back, such as `impl From<New> for Old`, or let version {current} be written"
    )]
    NoWayBack {
        /// Its name.
        name: &'static str,
        /// The version asked for.
        shape_version: u32,
        /// The oldest version that can be written.
        writes_from: u32,
        /// The version that is written today.
        current: u32,
    },
    /// It can be written in an older shape, but not be read from it again.
    #[error("`{name}` was to be written with shape version {shape_version}, from which it cannot be read again")]
    NotReadBack {
        /// The name under which it was to be written.
        name: &'static str,
        /// The version asked for.
        shape_version: u32,
        /// Why it cannot be read.
        #[source]
        source: Box<DecodeError>,
    },
}

impl EncodeError {
    /// `E` cannot be written in this version.
    pub fn no_way_back<E: Stored>(shape_version: u32) -> Self {
        Self::NoWayBack {
            name: E::NAME,
            shape_version,
            writes_from: E::WRITES_FROM,
            current: E::SHAPE_VERSION,
        }
    }
}

/// A stored event or entity could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// This build knows no event of that name.
    #[error("this build knows no event of that name")]
    UnknownName,
    /// This build knows it, but not in that version of its shape.
    #[error("this build reads shape versions {oldest} to {newest}, and not this one")]
    UnknownVersion {
        /// The oldest version that this build reads.
        oldest: u32,
        /// The version that this build writes.
        newest: u32,
    },
    /// The payload is not of the shape under which it is stored.
    #[error(
        "the payload is not of this shape; if the struct was changed, give it a new version and say what was changed"
    )]
    Malformed(#[source] serde_json::Error),
    /// The payload is of its shape, but a step to the current one has failed.
    #[error("shape version {from} could not be turned into version {to}")]
    Upcast {
        /// The version before the step.
        from: u32,
        /// The version after the step; the same if the event is `#[retired]`, and its method has failed.
        to: u32,
        /// The error of the step, or an [`UpcastPanic`].
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl DecodeError {
    /// A version of `E` that it cannot be read in.
    pub fn unknown_version<E: Stored>() -> Self {
        Self::UnknownVersion {
            oldest: E::OLDEST_VERSION,
            newest: E::SHAPE_VERSION,
        }
    }
}

/// A step from one version of a shape to the next has panicked. The panic was caught.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the upcaster panicked: {message}")]
pub struct UpcastPanic {
    /// The panic's message.
    pub message: String,
}
