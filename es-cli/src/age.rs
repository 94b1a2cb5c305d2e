//! Times that an operator types.

use std::str::FromStr;
use std::time::Duration;

use es_runtime::Timestamp;

/// A span of time, such as `90s`, `10m`, `2h` or `3d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Age(pub(crate) Duration);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || format!("`{text}` is not a span of time: write it like 90s, 10m, 2h or 3d");
        let unit = text.chars().last().ok_or_else(refused)?;
        let seconds: u64 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            _ => return Err(refused()),
        };
        let number: u32 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| refused())?;
        Ok(Self(Duration::from_secs(u64::from(number) * seconds)))
    }
}

/// A point in time, or a span before now.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Since {
    Time(Timestamp),
    Ago(Age),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(age) = text.parse() {
            return Ok(Self::Ago(age));
        }
        let time: Result<Timestamp, _> = text.parse();
        time.map(Self::Time)
            .map_err(|error| format!("{error}, or like 10m or 3d for a time before now"))
    }
}

impl Since {
    pub(crate) fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Time(time) => time,
            Self::Ago(Age(age)) => {
                let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
                Timestamp::from_micros(now.as_micros().saturating_sub(micros)).unwrap_or(Timestamp::MIN)
            }
        }
    }
}

/// The span in its largest unit, for people.
pub(crate) fn rounded(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}
