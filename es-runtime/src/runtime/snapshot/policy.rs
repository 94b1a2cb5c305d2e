use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::__private::Seen;
use crate::consumer::text_of;
use crate::{EventEnum, EventSourced, Position, Timestamp, Version, json};

/// When snapshots of an aggregate are written, and how: [`Aggregate::SNAPSHOTS`](crate::Aggregate::SNAPSHOTS).
/// `#[es(snapshot(…))]` writes it.
pub struct SnapshotPolicy<A> {
    every: Option<NonZeroU64>,
    after: Option<Duration>,
    version: u32,
    is_plain: fn(&mut Seen) -> bool,
    encode: fn(&Header, &A, bool) -> Result<Vec<u8>, serde_json::Error>,
    decode: fn(&[u8]) -> Result<Form<A>, serde_json::Error>,
    difference: fn(&A, &A) -> Option<Vec<String>>,
}

/// A state that has a stored form.
#[diagnostic::on_unimplemented(
    message = "the state of `{Self}` cannot be kept as a snapshot",
    label = "needs a stored form of the state",
    note = "add `#[value]` to `{Self}`, above `#[derive(Aggregate)]`"
)]
pub trait SnapshotState: Sized {
    #[doc(hidden)]
    const POLICY: SnapshotPolicy<Self>;
}

#[diagnostic::do_not_recommend]
impl<A: Serialize + DeserializeOwned + PartialEq + Debug> SnapshotState for A {
    const POLICY: SnapshotPolicy<Self> = SnapshotPolicy {
        every: None,
        after: None,
        version: 1,
        is_plain: |_| false,
        encode,
        decode: json::from_slice,
        difference: json::difference,
    };
}

impl<A: SnapshotState> SnapshotPolicy<A> {
    /// Returns the policy that only [`Runtime::snapshot`](crate::Runtime::snapshot) writes a snapshot.
    pub const fn by_hand() -> Self {
        A::POLICY
    }
}

impl<A> SnapshotPolicy<A> {
    /// Writes a snapshot each time that a stream has grown by so many events.
    ///
    /// # Panics
    ///
    /// If `events` is 0.
    #[must_use]
    pub const fn every(mut self, events: u64) -> Self {
        self.every = Some(NonZeroU64::new(events).expect("a snapshot comes after one event or more"));
        self
    }

    /// Writes a snapshot of a state that took so many milliseconds or more to be folded.
    #[must_use]
    pub const fn after_millis(mut self, millis: u64) -> Self {
        self.after = Some(Duration::from_millis(millis));
        self
    }

    /// Sets a number, 1 unless set, that voids all snapshots kept under another one.
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    pub(crate) const fn plain(mut self, is_plain: fn(&mut Seen) -> bool) -> Self {
        self.is_plain = is_plain;
        self
    }

    /// Returns whether a stream that grows from one version to the other needs a new snapshot.
    pub(super) fn is_due(&self, before: Version, after: Version) -> bool {
        self.every
            .is_some_and(|every| before.0 / every.get() != after.0 / every.get())
    }

    /// Returns whether a state into which so many events were folded in this time is to be kept.
    pub(super) fn is_worth_keeping(&self, folded: u64, took: Duration) -> bool {
        self.every.is_some_and(|every| folded >= every.get())
            || self.after.is_some_and(|after| folded > 0 && took >= after)
    }

    /// Returns the form of the state, with what is known of its last event. A type that may not come back unchanged is read back.
    pub(super) fn encode(&self, header: &Header, state: &A) -> Result<Vec<u8>, serde_json::Error> {
        let is_plain = (self.is_plain)(&mut Seen::default());
        no_panic(|| (self.encode)(header, state, is_plain))
    }

    pub(super) fn decode(&self, form: &[u8]) -> Result<(Header, A), serde_json::Error> {
        let Form {
            position,
            recorded_at,
            state,
        } = no_panic(|| (self.decode)(form))?;
        Ok((Header { position, recorded_at }, state))
    }

    /// Returns where the second state differs from the first, if it does.
    pub(super) fn difference(&self, one: &A, other: &A) -> Option<String> {
        (self.difference)(one, other).map(|path| json::place(&path))
    }
}

impl<A> Clone for SnapshotPolicy<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for SnapshotPolicy<A> {}

impl<A> Debug for SnapshotPolicy<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotPolicy")
            .field("every", &self.every)
            .field("after", &self.after)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The last event in a state: if the stream has another one in its place, it is not the stream that was folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) struct Header {
    pub(super) position: Position,
    pub(super) recorded_at: Timestamp,
}

/// The stored form.
#[derive(Serialize, Deserialize)]
struct Form<A> {
    position: Position,
    recorded_at: Timestamp,
    state: A,
}

fn encode<A: Serialize + DeserializeOwned + PartialEq + Debug>(
    header: &Header,
    state: &A,
    is_plain: bool,
) -> Result<Vec<u8>, serde_json::Error> {
    let Header { position, recorded_at } = *header;
    let mut out = Vec::new();
    let form = Form {
        position,
        recorded_at,
        state,
    };
    json::encode(&form, &mut out)?;
    if !is_plain {
        let read: Form<A> = json::from_slice(&out)?;
        if let Some(path) = json::difference(state, &read.state) {
            return Err(json::refused(&path, "would be read as another value"));
        }
    }
    Ok(out)
}

/// A panic in the user's code costs a snapshot, and nothing else.
fn no_panic<T>(run: impl FnOnce() -> Result<T, serde_json::Error>) -> Result<T, serde_json::Error> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = text_of(&*panic);
        Err(serde::ser::Error::custom(format_args!("its code panicked: {text}")))
    })
}

/// A fingerprint of all by which a state comes about, as far as the macros see it: a snapshot that is kept under another one was
/// folded otherwise.
pub(super) struct FingerprintOf<A>(PhantomData<A>);

impl<A: EventSourced> FingerprintOf<A> {
    pub(super) const VALUE: u64 = {
        let version = match A::SNAPSHOTS {
            Some(policy) => policy.version as u64,
            None => 0,
        };
        let mut hash = fnv(BASIS, A::NAME.as_bytes());
        hash = mix(hash, &[FORM, version, A::FINGERPRINT, A::FOLD_FINGERPRINT]);
        let (events, mut event) = (A::Event::EVENTS, 0);
        while event < events.len() {
            hash = fnv(hash, events[event].name.as_bytes());
            hash = mix(
                hash,
                &[events[event].shape_version as u64, events[event].retired as u64],
            );
            event += 1;
        }
        hash
    };
}

/// The number of the form that is written here.
const FORM: u64 = 1;

pub(super) const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a of 64 bits: no change of a single byte leaves it as it was.
pub(super) const fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut byte = 0;
    while byte < bytes.len() {
        hash = (hash ^ bytes[byte] as u64).wrapping_mul(0x0100_0000_01b3);
        byte += 1;
    }
    hash
}

pub(super) const fn mix(mut hash: u64, numbers: &[u64]) -> u64 {
    let mut number = 0;
    while number < numbers.len() {
        hash = fnv(hash, &numbers[number].to_le_bytes());
        number += 1;
    }
    hash
}
