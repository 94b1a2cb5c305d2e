//! The model of parking in sequence: the events that are taken, and those that are parked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use es_runtime::Id;

use crate::bank::Account;

/// The amounts that cannot be taken.
static BROKEN: Mutex<BTreeSet<i64>> = Mutex::new(BTreeSet::new());

/// The amounts that cannot be taken.
pub fn broken() -> MutexGuard<'static, BTreeSet<i64>> {
    BROKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An amount that nobody else has: no small one.
#[must_use]
pub fn amount(is_broken: bool) -> i64 {
    static NEXT: AtomicI64 = AtomicI64::new(1 << 40);
    let amount = NEXT.fetch_add(1, Ordering::Relaxed);
    if is_broken {
        broken().insert(amount);
    }
    amount
}

/// The state that a reader must be in.
#[derive(Default)]
pub struct Model {
    /// By key: the amounts that were taken, in order.
    pub rows: BTreeMap<String, Vec<i64>>,
    /// By position: the keys of the event, and the amount.
    pub parked: BTreeMap<u64, (BTreeSet<String>, i64)>,
}

impl Model {
    fn stands_behind(&self, position: u64, keys: &BTreeSet<String>) -> bool {
        let mut before = self.parked.range(..position);
        before.any(|(_, (others, _))| !keys.is_disjoint(others))
    }

    /// An event was appended.
    ///
    /// # Panics
    ///
    /// If a key has no row.
    pub fn happened(&mut self, position: u64, keys: impl IntoIterator<Item = Id<Account>>, amount: i64) {
        let keys: BTreeSet<String> = keys.into_iter().map(|key| key.to_string()).collect();
        if self.stands_behind(position, &keys) || broken().contains(&amount) {
            self.parked.insert(position, (keys, amount));
        } else {
            self.apply(&keys, amount);
        }
    }

    fn apply(&mut self, keys: &BTreeSet<String>, amount: i64) {
        for key in keys {
            self.rows.get_mut(key).unwrap().push(amount);
        }
    }

    /// A parked event is tried, and what stands behind it. Whether it is taken.
    ///
    /// # Panics
    ///
    /// If it is not parked.
    pub fn retry(&mut self, position: u64) -> bool {
        let (keys, amount) = self.parked[&position].clone();
        if self.stands_behind(position, &keys) || broken().contains(&amount) {
            return false;
        }
        let mut reached = keys;
        let later: Vec<u64> = self.parked.range(position..).map(|(position, _)| *position).collect();
        for position in later {
            let (keys, amount) = self.parked[&position].clone();
            if keys.is_disjoint(&reached) {
                continue;
            }
            reached.extend(keys.iter().cloned());
            if !self.stands_behind(position, &keys) && !broken().contains(&amount) {
                self.parked.remove(&position);
                self.apply(&keys, amount);
            }
        }
        true
    }
}
