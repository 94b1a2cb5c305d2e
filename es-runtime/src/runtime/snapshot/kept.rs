use bytes::Bytes;

use super::counts::Outcome;
use super::policy::{BASIS, FingerprintOf, Header, SnapshotPolicy, fnv, mix};
use crate::store::{Change, SNAPSHOTS, StateChange, StateKey};
use crate::{EventSourced, StreamId, Version};

/// A state as it was kept.
pub(super) struct Kept<A> {
    pub(super) version: Version,
    pub(super) header: Header,
    pub(super) state: A,
    /// The size of its stored form.
    pub(super) bytes: usize,
}

/// Why a snapshot is not used.
#[derive(Debug)]
pub(super) struct Unfit {
    pub(super) outcome: Outcome,
    pub(super) why: String,
}

impl Unfit {
    pub(super) fn new(outcome: Outcome, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { outcome, why }
    }
}

/// The namespace of the snapshots that this build of the aggregate reads and writes.
pub(super) fn namespace<A: EventSourced>() -> String {
    namespace_of(FingerprintOf::<A>::VALUE)
}

pub(super) fn namespace_of(fingerprint: u64) -> String {
    format!("{SNAPSHOTS}{fingerprint:016x}")
}

pub(super) fn key<A: EventSourced>(stream: &StreamId) -> StateKey {
    StateKey::new(namespace::<A>(), A::NAME, stream.id())
}

/// The checksum goes first, so that all behind it is what it was made of.
const OPENS: &[u8] = b"{\"checksum\":\"";
const CLOSES: &[u8] = b"\",";
const DIGITS: usize = 16;

/// Puts the form of a state, which is a JSON object, into what is stored of it.
pub(super) fn sealed<A: EventSourced>(key: StateKey, version: Version, form: &[u8]) -> StateChange {
    let content = &form[1..];
    let mut payload = Vec::with_capacity(OPENS.len() + DIGITS + CLOSES.len() + content.len());
    payload.extend_from_slice(OPENS);
    payload.extend_from_slice(checksum(&key, version, content).as_bytes());
    payload.extend_from_slice(CLOSES);
    payload.extend_from_slice(content);
    StateChange {
        key,
        sequence: version.0,
        change: Change::Update,
        shape: FingerprintOf::<A>::VALUE,
        payload: Some(Bytes::from(payload)),
    }
}

/// Reads what was stored. `None` if it is a tombstone.
pub(super) fn opened<A: EventSourced>(
    change: &StateChange,
    policy: &SnapshotPolicy<A>,
) -> Result<Option<Kept<A>>, Unfit> {
    let Some(payload) = &change.payload else {
        return Ok(None);
    };
    let version = Version(change.sequence);
    if change.shape != FingerprintOf::<A>::VALUE {
        return Err(Unfit::new(Outcome::Stale, "it was written by another build"));
    }
    let Some(content) = content(&change.key, version, payload) else {
        return Err(Unfit::new(Outcome::Corrupt, "its checksum does not match"));
    };
    let form = [b"{", content].concat();
    match policy.decode(&form) {
        Ok((header, state)) => Ok(Some(Kept {
            version,
            header,
            state,
            bytes: payload.len(),
        })),
        Err(error) => Err(Unfit::new(Outcome::Stale, format!("it cannot be read: {error}"))),
    }
}

/// The part of the payload that its checksum was made of, if it is as it was written.
fn content<'a>(key: &StateKey, version: Version, payload: &'a [u8]) -> Option<&'a [u8]> {
    let (digits, rest) = payload.strip_prefix(OPENS)?.split_at_checked(DIGITS)?;
    let content = rest.strip_prefix(CLOSES)?;
    (checksum(key, version, content).as_bytes() == digits).then_some(content)
}

/// Covers whose state it is, and of which version.
fn checksum(key: &StateKey, version: Version, content: &[u8]) -> String {
    let named = [&*key.namespace, &*key.kind, &*key.id]
        .iter()
        .fold(BASIS, |hash, name| {
            mix(fnv(hash, name.as_bytes()), &[name.len() as u64])
        });
    format!("{:016x}", by_words(mix(named, &[version.0]), content))
}

/// As [`fnv`], of eight bytes at a time: a state may be large. No change within one word leaves it as it was.
fn by_words(mut hash: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(0x0100_0000_01b3);
        // The highest bits are mixed into the lowest, or what changes them twice would not show.
        hash ^= hash >> 32;
    }
    fnv(hash, rest)
}
