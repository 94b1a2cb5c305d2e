//! Finds names that are given twice without comparing each with each, which would make compile time grow with the square.

use super::Named;

/// The hashes of the names that stand in a list more than once. May hold other names, of the same hash.
pub struct Repeated {
    seen: Hashes,
    again: Hashes,
}

/// A set of hashes, a bit for each.
type Hashes = [u64; 256];

impl Repeated {
    /// Of the names and aliases of events.
    pub const fn of_events(events: &[Named]) -> Self {
        let mut repeated = Self::of_commands(&[]);
        let mut event = 0;
        while event < events.len() {
            repeated.add(events[event].info.name);
            let mut alias = 0;
            while alias < events[event].info.aliases.len() {
                repeated.add(events[event].info.aliases[alias]);
                alias += 1;
            }
            event += 1;
        }
        repeated
    }

    /// Of the names of commands, each behind its variant.
    pub const fn of_commands(commands: &[(&str, &str)]) -> Self {
        let mut repeated = Self {
            seen: [0; 256],
            again: [0; 256],
        };
        let mut command = 0;
        while command < commands.len() {
            repeated.add(commands[command].1);
            command += 1;
        }
        repeated
    }

    const fn add(&mut self, name: &str) {
        let (word, bit) = place(name);
        self.again[word] |= self.seen[word] & bit;
        self.seen[word] |= bit;
    }

    pub(super) const fn has(&self, name: &str) -> bool {
        let (word, bit) = place(name);
        self.again[word] & bit != 0
    }

    pub(super) const fn has_any(&self, names: &[&str]) -> bool {
        let mut index = 0;
        while index < names.len() {
            if self.has(names[index]) {
                return true;
            }
            index += 1;
        }
        false
    }
}

/// The word and the bit of a name's hash, which is FNV-1a.
const fn place(name: &str) -> (usize, u64) {
    let (name, mut hash, mut index) = (name.as_bytes(), 0x811c_9dc5_u32, 0);
    while index < name.len() {
        hash = (hash ^ name[index] as u32).wrapping_mul(0x0100_0193);
        index += 1;
    }
    ((hash >> 6) as usize % 256, 1 << (hash % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_given_twice_are_found_and_hardly_any_other() {
        let names: Vec<String> = (0..1000).map(|number| format!("changed_{number}")).collect();
        let mut commands: Vec<(&str, &str)> = names.iter().map(|name| ("", name.as_str())).collect();
        let others = |repeated: &Repeated| names.iter().filter(|name| repeated.has(name)).count();
        let once = others(&Repeated::of_commands(&commands));
        assert!(once < 100, "{once} of 1000 names would be compared with all others");
        commands.push(("", "changed_7"));
        let twice = Repeated::of_commands(&commands);
        assert!(twice.has("changed_7") && twice.has_any(&["a", "changed_7"]) && !twice.has_any(&[]));
        assert!(others(&twice) <= once + 1);
    }
}
