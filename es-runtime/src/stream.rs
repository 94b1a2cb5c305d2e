use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Names one stream: the `category` (the aggregate's name) and the `id` of the instance, as text.
///
/// Ids are exact: case, blanks and Unicode forms are kept as given, and two ids are equal only if their bytes are.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamId {
    category: Cow<'static, str>,
    id: Arc<str>,
}

impl StreamId {
    /// The stream of the instance `id` of the aggregate named `category`.
    pub fn new(category: impl Into<Cow<'static, str>>, id: impl Into<Arc<str>>) -> Self {
        Self {
            category: category.into(),
            id: id.into(),
        }
    }

    /// The aggregate's name.
    pub fn category(&self) -> &str {
        &self.category
    }

    /// The instance's id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.category, self.id)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamId({self})")
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// Before the first: nothing has this number.
            pub const ZERO: Self = Self(0);
            /// The largest that a store can keep: `i64::MAX`.
            pub const MAX: Self = Self(i64::MAX as u64);

            /// The number after this one.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl From<u64> for $name {
            fn from(number: u64) -> Self {
                Self(number)
            }
        }

        impl PartialEq<u64> for $name {
            fn eq(&self, other: &u64) -> bool {
                self.0 == *other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The number of an event in its stream: 1, 2, 3 … without a gap. An empty stream is at version 0.
    Version
}

number! {
    /// The number of an event in the whole store, strictly increasing in commit order: a reader that has seen position
    /// `p` never needs anything below it.
    Position
}

/// The version that an append expects its stream to be at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExpectedVersion {
    /// Expects nothing.
    Any,
    /// Expects no event yet. The same as `Exact(Version(0))`.
    NoStream,
    /// Expects at least one event.
    Exists,
    /// Expects the last event to have this version.
    Exact(Version),
}

impl ExpectedVersion {
    /// Returns whether a stream at version `actual` meets the expectation.
    pub fn allows(self, actual: Version) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual == Version::ZERO,
            Self::Exists => actual > Version::ZERO,
            Self::Exact(version) => actual == version,
        }
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any version"),
            Self::NoStream => f.write_str("no stream"),
            Self::Exists => f.write_str("an existing stream"),
            Self::Exact(version) => write!(f, "version {version}"),
        }
    }
}
