//! Which new event may be one that is gone, under another name.

use std::cmp::Reverse;

use super::lock::{Key, Lock, Role};
use super::shape::Definition;
use super::today::{Readable, Today};

/// The names that an event that is gone may have now.
pub(super) struct Renamed {
    /// The one event for which that is likely. It is offered for no other name.
    pub(super) likely: Option<String>,
    /// Further events of the same shape, the nearest name first, which are offered for no other name either.
    pub(super) others: Vec<String>,
    /// Further names that are gone, of the same shape.
    pub(super) rivals: Vec<String>,
}

impl Renamed {
    /// Into this event, and no other.
    pub(super) fn into(rust: &str) -> Self {
        Self {
            likely: Some(rust.to_owned()),
            others: Vec::new(),
            rivals: Vec::new(),
        }
    }
}

/// Returns whether there are stored events of this name.
pub(super) fn is_locked(lock: &Lock, key: &Key) -> bool {
    lock.keys().any(|locked| is_of_event(locked, &key.category, &key.name))
}

/// Returns the names that an event that is gone may have now: none if no new event has its shape.
pub(super) fn guess(key: &Key, lock: &Lock, today: &Today) -> Option<Renamed> {
    let shape = newest(lock, &key.category, &key.name)?;
    let gone = gone(key, shape, lock, today);
    let new = new(key, shape, lock, today);
    if new.is_empty() {
        return None;
    }
    let rust = |(_, readable): &(&Key, &Readable)| readable.rust.clone();
    if let ([_], [new]) = (&gone[..], &new[..]) {
        return Some(Renamed::into(&rust(new)));
    }
    let pairs = pairs(&gone, &new);
    let likely = pairs
        .iter()
        .find(|(name, _)| *name == key.name)
        .map(|(_, index)| *index);
    let is_free = |index: &usize| pairs.iter().all(|(_, taken)| taken != index);
    let mut others: Vec<usize> = (0..new.len()).filter(is_free).collect();
    others.sort_by_key(|index| nearness(&key.name, &new[*index].0.name));
    if likely.is_none() && others.is_empty() {
        return None;
    }
    Some(Renamed {
        likely: likely.map(|index| rust(&new[index])),
        others: others.into_iter().map(|index| rust(&new[index])).collect(),
        rivals: gone
            .into_iter()
            .filter(|name| *name != key.name)
            .map(ToOwned::to_owned)
            .collect(),
    })
}

fn is_of_event(key: &Key, category: &str, name: &str) -> bool {
    key.category == category && key.name == name
}

/// The newest stored shape of an event.
fn newest<'a>(lock: &'a Lock, category: &str, name: &str) -> Option<&'a Definition> {
    let mut versions = lock.iter().filter(|(key, _)| is_of_event(key, category, name));
    versions.next_back().map(|(_, entry)| &entry.definition)
}

/// The names of stored events of this shape that nothing reads.
fn gone<'a>(key: &Key, shape: &Definition, lock: &'a Lock, today: &Today) -> Vec<&'a str> {
    let mut names: Vec<&str> = lock
        .keys()
        .filter(|other| other.category == key.category && today.version(other).is_none())
        .filter(|other| newest(lock, &other.category, &other.name) == Some(shape))
        .map(|other| &*other.name)
        .collect();
    names.dedup();
    names
}

/// The events of this shape that are new, and not those already which stored events are called now.
fn new<'a>(key: &Key, shape: &Definition, lock: &Lock, today: &'a Today) -> Vec<(&'a Key, &'a Readable)> {
    let is_successor = |name: &str| {
        let is_earlier = |readable: &Readable| matches!(&readable.role, Role::AliasOf(of) if of == name);
        let mut earlier = today.shapes.iter().filter(|(_, readable)| is_earlier(readable));
        earlier.any(|(earlier, _)| earlier.category == key.category && is_locked(lock, earlier))
    };
    let is_new = |other: &Key, readable: &Readable| {
        other.category == key.category
            && readable.role == Role::Event
            && readable.definition == *shape
            && !is_locked(lock, other)
            && !is_successor(&other.name)
    };
    today
        .shapes
        .iter()
        .filter(|(other, readable)| is_new(other, readable))
        .collect()
}

/// Which new event is likely which that is gone: those whose names have a word in common, the nearest first, and each once.
fn pairs<'a>(gone: &[&'a str], new: &[(&Key, &Readable)]) -> Vec<(&'a str, usize)> {
    let all = gone
        .iter()
        .flat_map(|name| (0..new.len()).map(move |index| (*name, index)));
    let nearness = |(name, index): &(&str, usize)| nearness(name, &new[*index].0.name);
    let mut all: Vec<_> = all.filter(|pair| nearness(pair).0 < Reverse(0)).collect();
    all.sort_by_key(nearness);
    let mut pairs: Vec<(&str, usize)> = Vec::new();
    for (name, index) in all {
        if pairs.iter().all(|(other, taken)| *other != name && *taken != index) {
            pairs.push((name, index));
        }
    }
    pairs
}

/// Returns how near two names are: the more words they share, and the fewer letters differ.
fn nearness(one: &str, other: &str) -> (Reverse<usize>, usize) {
    let words = |name: &'_ str| name.split(['_', '.', '-']).map(str::to_owned).collect::<Vec<_>>();
    let of_other = words(other);
    let common = words(one).iter().filter(|word| of_other.contains(word)).count();
    (Reverse(common), distance(one, other))
}

/// Returns the number of letters to insert, remove or replace to turn one text into the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (length, letter) in one.chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], length + 1);
        for (index, also) in other.iter().enumerate() {
            let replaced = before + usize::from(letter != *also);
            before = row[index + 1];
            row[index + 1] = replaced.min(before + 1).min(row[index] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_the_number_of_letters_that_differ() {
        let pairs = [
            ("", "", 0),
            ("sent", "", 4),
            ("sent", "spend", 2),
            ("kitten", "sitting", 3),
            ("ü", "u", 1),
        ];
        for (one, other, expected) in pairs {
            assert_eq!(
                (distance(one, other), distance(other, one)),
                (expected, expected),
                "{one} {other}"
            );
        }
    }
}
