use super::Seen;
use crate::runtime::{SnapshotPolicy, SnapshotState};

/// A policy for states that are kept. Reads a state back before it is stored unless its type `is_plain`.
pub const fn snapshot_policy<A: SnapshotState>(is_plain: fn(&mut Seen) -> bool) -> SnapshotPolicy<A> {
    SnapshotPolicy::by_hand().plain(is_plain)
}
