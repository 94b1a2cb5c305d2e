//! The golden payloads next to the lock file: for each shape, samples of stored payloads and their readings.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::aggregates::{Reading, Unread};
use super::check::Addition;
use super::lock::{Key, Lock};
use super::today::Today;

/// A payload as it is stored, and what it is read as.
struct Sample {
    stored: Value,
    /// `None` if it was written by hand and not accepted yet.
    reads_as: Option<Vec<Reading>>,
    made: bool,
}

/// A problem with the samples of a shape.
pub(super) struct GoldenProblem {
    pub(super) key: Key,
    pub(super) path: PathBuf,
    pub(super) flaw: Flaw,
}

pub(super) enum Flaw {
    /// There is no file.
    Missing,
    /// The reading of a sample is missing.
    NotRecorded,
    /// It is not a list of samples.
    Malformed(String),
    /// A stored payload is refused.
    Refused { stored: Value, error: String },
    /// The one that was made from the schema is refused.
    CannotBeMade { stored: Value, error: String },
    /// It is read as something else.
    ReadsOtherwise {
        stored: Value,
        before: Vec<Reading>,
        after: Vec<Reading>,
    },
    /// An event that it is read as cannot be stored.
    Unstorable { stored: Value, error: String },
    /// Its reading cannot be stored and read again.
    NotReadAgain { reading: Reading, error: String },
    /// There is no such shape in the lock file.
    Orphan,
}

/// Checks the samples of the shapes in `lock`, but for those of which `skip` says that they cannot be read anyhow.
pub(super) struct Golden<'a> {
    pub(super) folder: &'a Path,
    pub(super) today: &'a Today,
    pub(super) additions: &'a [Addition],
    /// True if the additions are accepted, and new samples recorded.
    pub(super) accept: bool,
    pub(super) problems: Vec<GoldenProblem>,
    /// The files to write.
    pub(super) writes: BTreeMap<PathBuf, String>,
}

impl Golden<'_> {
    pub(super) fn check(&mut self, lock: &Lock, skip: impl Fn(&Key) -> bool) -> io::Result<()> {
        for key in lock.keys().filter(|key| !skip(key)) {
            self.check_shape(key)?;
        }
        let expected: Vec<PathBuf> = lock.keys().map(|key| self.path(key)).collect();
        for path in files(self.folder)? {
            if !expected.contains(&path) {
                let key = Key {
                    category: String::new(),
                    name: String::new(),
                    version: 0,
                };
                self.problems.push(GoldenProblem {
                    key,
                    path,
                    flaw: Flaw::Orphan,
                });
            }
        }
        Ok(())
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder
            .join(&key.category)
            .join(format!("{}.{}.json", key.name, key.version))
    }

    fn check_shape(&mut self, key: &Key) -> io::Result<()> {
        let path = self.path(key);
        let text = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut samples = match text.as_deref().map(parse) {
            Some(Ok(samples)) => samples,
            Some(Err(error)) => {
                self.flaw(key, Flaw::Malformed(error));
                return Ok(());
            }
            None if !self.accept => {
                self.flaw(key, Flaw::Missing);
                return Ok(());
            }
            None => Vec::new(),
        };
        if text.is_none() || self.has_grown(key) {
            self.make(key, &mut samples);
        }
        let before = self.problems.len();
        for sample in &mut samples {
            self.check_sample(key, sample);
        }
        let after = print(key, &samples);
        if self.problems.len() == before && self.accept && text.as_deref() != Some(&after) {
            self.writes.insert(path, after);
        }
        Ok(())
    }

    fn has_grown(&self, key: &Key) -> bool {
        let grown = |addition: &Addition| matches!(addition, Addition::Grown(grown, _) if grown == key);
        self.accept && self.additions.iter().any(grown)
    }

    /// Adds those samples of the shape that are not there yet.
    fn make(&self, key: &Key, samples: &mut Vec<Sample>) {
        let made = self.today.shapes.get(key).map(|readable| readable.definition.samples());
        for stored in made.unwrap_or_default() {
            if !samples.iter().any(|sample| sample.stored == stored) {
                samples.push(Sample {
                    stored,
                    reads_as: None,
                    made: true,
                });
            }
        }
    }

    fn check_sample(&mut self, key: &Key, sample: &mut Sample) {
        let stored = || sample.stored.clone();
        let after = match self.read(&key.category, &key.name, key.version, &sample.stored) {
            Ok(after) => after,
            Err(Unread::Unstorable(error)) => {
                let stored = stored();
                return self.flaw(key, Flaw::Unstorable { stored, error });
            }
            Err(Unread::Refused(error)) if sample.made => {
                return self.flaw(
                    key,
                    Flaw::CannotBeMade {
                        stored: stored(),
                        error,
                    },
                );
            }
            Err(Unread::Refused(error)) => {
                return self.flaw(
                    key,
                    Flaw::Refused {
                        stored: stored(),
                        error,
                    },
                );
            }
        };
        for reading in &after {
            let again = self.read(&key.category, &reading.name, reading.version, &reading.data);
            let error = match again {
                Ok(again) if same(&again, std::slice::from_ref(reading)) => continue,
                Ok(again) => format!("it comes back as {}", one_line(&again)),
                Err(Unread::Refused(error) | Unread::Unstorable(error)) => error,
            };
            let reading = reading.clone();
            return self.flaw(key, Flaw::NotReadAgain { reading, error });
        }
        match &sample.reads_as {
            Some(before) if *before == after => {}
            Some(before) if self.may_change(key, before, &after) => sample.reads_as = Some(after),
            Some(before) if same(before, &after) => {}
            Some(before) => {
                let (stored, before) = (stored(), before.clone());
                self.flaw(key, Flaw::ReadsOtherwise { stored, before, after });
            }
            None if !self.accept => self.flaw(key, Flaw::NotRecorded),
            None => sample.reads_as = Some(after),
        }
    }

    /// Returns whether the event, or one that it is read as, is among the additions.
    fn may_change(&self, key: &Key, before: &[Reading], after: &[Reading]) -> bool {
        let concerned = |addition: &Addition| {
            let added = addition.key();
            let read_as = |reading: &Reading| reading.name == added.name;
            added.category == key.category
                && (added.name == key.name || before.iter().any(read_as) || after.iter().any(read_as))
        };
        self.additions.iter().any(concerned)
    }

    fn read(&self, category: &str, name: &str, version: u32, data: &Value) -> Result<Vec<Reading>, Unread> {
        match self.today.reader(category, name) {
            Some(read) => read(name, version, data),
            None => Err(Unread::Refused(format!("nothing reads `{name}`"))),
        }
    }

    fn flaw(&mut self, key: &Key, flaw: Flaw) {
        self.problems.push(GoldenProblem {
            key: key.clone(),
            path: self.path(key),
            flaw,
        });
    }
}

/// The files of the folder and of those in it, in order.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.append(&mut files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Returns whether both have the same values: a field that is `None` may be stored as `null`, or left out.
fn same(left: &[Reading], right: &[Reading]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| {
            (&left.name, left.version) == (&right.name, right.version)
                && without_nulls(&left.data) == without_nulls(&right.data)
        })
}

fn without_nulls(data: &Value) -> Value {
    match data {
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        Value::Object(fields) => {
            let filled = fields.iter().filter(|(_, value)| !value.is_null());
            filled
                .map(|(name, value)| (name.clone(), without_nulls(value)))
                .collect()
        }
        value => value.clone(),
    }
}

/// Formats a list of readings as one line.
pub(super) fn one_line(readings: &[Reading]) -> String {
    let readings = readings
        .iter()
        .map(|Reading { name, version, data }| format!("{name} {version} {data}"));
    match &readings.collect::<Vec<_>>()[..] {
        [] => "nothing".to_owned(),
        readings => readings.join(", "),
    }
}

fn print(key: &Key, samples: &[Sample]) -> String {
    let samples = samples.iter().map(|sample| {
        let reads_as = sample.reads_as.iter().flatten();
        let reads_as = reads_as
            .map(|Reading { name, version, data }| json!({ key.noun(): name, "version": version, "data": data }));
        json!({ "payload": sample.stored, "reads_as": reads_as.collect::<Value>() })
    });
    format!("{:#}\n", samples.collect::<Value>())
}

fn parse(text: &str) -> Result<Vec<Sample>, String> {
    let samples: Vec<Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if samples.is_empty() {
        return Err("it holds no sample".to_owned());
    }
    samples.into_iter().map(sample).collect()
}

fn sample(mut sample: Value) -> Result<Sample, String> {
    let stored = sample
        .get_mut("payload")
        .map(Value::take)
        .ok_or("a sample has no `payload`")?;
    let reads_as = match sample.get("reads_as") {
        None => None,
        Some(Value::Array(readings)) => Some(readings.iter().map(reading).collect::<Result<_, _>>()?),
        Some(_) => return Err("`reads_as` is no list".to_owned()),
    };
    Ok(Sample {
        stored,
        reads_as,
        made: false,
    })
}

fn reading(reading: &Value) -> Result<Reading, String> {
    let parts = || {
        Some(Reading {
            name: reading.get("event").or(reading.get("entity"))?.as_str()?.to_owned(),
            version: reading.get("version")?.as_u64()?.try_into().ok()?,
            data: reading.get("data")?.clone(),
        })
    };
    parts().ok_or_else(|| format!("`reads_as` holds {reading} instead of an `event` or `entity`, `version` and `data`"))
}
