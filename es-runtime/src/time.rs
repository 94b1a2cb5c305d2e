use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time in UTC with microsecond precision, from the year 1 to 9999. Its text form is RFC 3339
/// (`2026-11-21T09:30:00.25Z`); text with another offset is read, text with a leap second (`:60`) is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Times are reckoned in civil time, because `jiff::Timestamp` ends a day before the year 9999 does.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

impl Timestamp {
    /// The first microsecond of the year 1.
    pub const MIN: Self = Self(-62_135_596_800_000_000);
    /// The last microsecond of the year 9999.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// The time of the system's clock.
    pub fn now() -> Self {
        let micros = |time: Duration| {
            let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
            seconds
                .saturating_mul(1_000_000)
                .saturating_add(i64::from(time.subsec_micros()))
        };
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => micros(since),
            Err(before) => -micros(before.duration()),
        };
        Self(micros).clamp(Self::MIN, Self::MAX)
    }

    /// The time `micros` microseconds after 1970-01-01T00:00:00Z, if it lies within [`MIN`](Self::MIN) and [`MAX`](Self::MAX).
    pub fn from_micros(micros: i64) -> Option<Self> {
        let time = Self(micros);
        (Self::MIN..=Self::MAX).contains(&time).then_some(time)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn as_micros(self) -> i64 {
        self.0
    }
}

/// The text is not an RFC 3339 time from the year 1 to 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a time: {reason}; write it like 2026-11-21T09:30:00Z")]
pub struct ParseTimestampError {
    text: String,
    reason: String,
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason: String| ParseTimestampError {
            text: text.to_owned(),
            reason,
        };
        // The parser reads second 60 as 59, which would silently store another time than was given.
        if text.get(16..19) == Some(":60") {
            return Err(refuse("leap seconds cannot be stored".to_owned()));
        }
        let pieces = Pieces::parse(text).map_err(|error| refuse(error.to_string()))?;
        let (Some(time), Some(offset)) = (pieces.time(), pieces.to_numeric_offset()) else {
            return Err(refuse("it needs a time of day and an offset from UTC".to_owned()));
        };
        let since = pieces.date().to_datetime(time).duration_since(EPOCH) - offset.duration_since(Offset::UTC);
        i64::try_from(since.as_nanos().div_euclid(1_000))
            .ok()
            .and_then(Self::from_micros)
            .ok_or_else(|| refuse("the year must be 1 to 9999".to_owned()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Within `MIN` and `MAX` it never overflows.
        write!(f, "{}Z", EPOCH.saturating_add(SignedDuration::from_micros(self.0)))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// The source of time of the runtime and the embedded stores. Tests control it with
/// [`ManualClock`](crate::testing::ManualClock).
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}
