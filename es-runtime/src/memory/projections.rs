//! What the store keeps for projections.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use foldhash::HashMap;
use tokio::time::Instant;

use super::{Log, MemoryStore, usize_of};
use crate::projection::rows::{field_of, rejected};
use crate::projection::store::{
    Checkpoint, CheckpointError, Commit, CommitError, Difference, Differences, FieldValue, Lease, LeaseState, Parked,
    ProjectionStore, Replace, Report, Row, RowChange, RowCount, RowCursor, RowFilter, RowGroup, RowQuery, RowTable,
    check_name,
};
use crate::{EventId, Position, StoreError, Timestamp};

/// What is kept beside the events.
#[derive(Default)]
pub(super) struct Projections {
    leases: HashMap<String, Held>,
    readers: HashMap<String, Reader>,
    /// By the name of the table.
    tables: HashMap<String, BTreeMap<String, Row>>,
}

/// A lease that was taken at some time.
struct Held {
    /// None once it was given back.
    owner: Option<String>,
    epoch: u64,
    expires_at: Instant,
    report: Option<Report>,
}

#[derive(Default)]
struct Reader {
    checkpoint: Option<Stored>,
    parked: BTreeMap<Position, Parked>,
}

/// A checkpoint as it is stored.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    pub(super) position: Position,
    /// The event that stood there; of none at the beginning.
    pub(super) event: Option<EventId>,
    updated_at: Timestamp,
}

impl Projections {
    fn holds(&self, lease: &Lease) -> bool {
        self.leases
            .get(&lease.name)
            .is_some_and(|held| held.owner.as_ref() == Some(&lease.owner) && held.epoch == lease.epoch)
    }

    fn check_lease(&self, lease: &Lease) -> Result<(), CommitError> {
        if self.holds(lease) {
            return Ok(());
        }
        Err(CommitError::LeaseLost {
            lease: lease.name.clone(),
        })
    }

    fn checkpoint(&self, reader: &str) -> Option<Stored> {
        self.readers.get(reader)?.checkpoint
    }

    pub(super) fn checkpoints(&self) -> impl Iterator<Item = Stored> {
        self.readers.values().filter_map(|reader| reader.checkpoint)
    }

    fn table(&mut self, table: &RowTable) -> Result<&mut BTreeMap<String, Row>, StoreError> {
        let name = table.name();
        self.tables.get_mut(&name).ok_or_else(|| no_table(&name))
    }
}

impl Log {
    /// Checks everything before anything is written.
    fn commit(&mut self, commit: Commit, now: Timestamp) -> Result<(), CommitError> {
        self.projections.check_lease(&commit.lease)?;
        let actual = self
            .projections
            .checkpoint(&commit.reader)
            .map_or(Position::ZERO, |stored| stored.position);
        if actual != commit.from {
            return Err(CommitError::Moved {
                reader: commit.reader,
                expected: commit.from,
                actual,
            });
        }
        let event = self.id_at(commit.to);
        if event.is_none() && commit.to > Position::ZERO {
            return Err(no_event(&commit).into());
        }
        let parked = self
            .projections
            .readers
            .get(&commit.reader)
            .map(|reader| &reader.parked);
        let is_parked = |position| parked.is_some_and(|parked| parked.contains_key(position));
        if let Some(position) = commit.unpark.iter().find(|position| !is_parked(position)) {
            return Err(CommitError::NotParked {
                reader: commit.reader,
                position: *position,
            });
        }
        if let Some(table) = &commit.table {
            let rows = self.projections.table(table)?;
            commit.rows.into_iter().for_each(|change| write(rows, change));
        }
        let reader = self.projections.readers.entry(commit.reader).or_default();
        reader.checkpoint = Some(Stored {
            position: commit.to,
            event,
            updated_at: now,
        });
        reader
            .parked
            .extend(commit.park.into_iter().map(|parked| (parked.position, parked)));
        for position in commit.unpark {
            reader.parked.remove(&position);
        }
        Ok(())
    }
}

impl Projections {
    /// Checks everything before anything is written.
    fn replace(&mut self, replace: Replace, now: Timestamp) -> Result<(), CommitError> {
        self.check_lease(&replace.lease)?;
        let at = |reader: &str| self.checkpoint(reader).map_or(Position::ZERO, |stored| stored.position);
        for (reader, expected) in [(&replace.beside, replace.to), (&replace.reader, replace.from)] {
            let actual = at(reader);
            if actual != expected {
                return Err(CommitError::Moved {
                    reader: reader.clone(),
                    expected,
                    actual,
                });
            }
        }
        self.table(&replace.table)?;
        let rows = std::mem::take(self.table(&replace.table_beside)?);
        self.tables.remove(&replace.table_beside.name());
        self.tables.insert(replace.table.name(), rows);
        let mut beside = self.readers.remove(&replace.beside).unwrap_or_default();
        if let Some(stored) = &mut beside.checkpoint {
            stored.updated_at = now;
        }
        self.readers.insert(replace.reader, beside);
        Ok(())
    }

    fn differences(&self, old: &str, new: &str, limit: u32) -> Result<Differences, StoreError> {
        let rows = |name: &str| self.tables.get(name).ok_or_else(|| no_table(name));
        let (old, new) = (rows(old)?, rows(new)?);
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let data = |rows: &BTreeMap<String, Row>, key| {
            let row: Option<&Row> = rows.get(key);
            row.map(|row| String::from_utf8_lossy(&row.data).into_owned())
        };
        let mut found = Differences::default();
        for key in keys {
            let (old, new) = (data(old, key), data(new, key));
            if old == new {
                continue;
            }
            found.count += 1;
            if found.first.len() < usize_of(limit.into()) {
                found.first.push(Difference {
                    key: key.clone(),
                    old,
                    new,
                });
            }
        }
        Ok(found)
    }
}

fn no_table(name: &str) -> StoreError {
    rejected(format!("there is no table `{name}`: create it first"))
}

fn no_event(commit: &Commit) -> StoreError {
    rejected(format!(
        "there is no event at {} for the checkpoint of `{}`",
        commit.to, commit.reader
    ))
}

fn write(rows: &mut BTreeMap<String, Row>, RowChange { key, data, position }: RowChange) {
    match data {
        None => rows.remove(&key),
        Some(data) => rows.insert(key.clone(), Row { key, data, position }),
    };
}

#[async_trait]
impl ProjectionStore for MemoryStore {
    async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        check_name("lease", lease)?;
        check_name("owner", owner)?;
        let now = Instant::now();
        let mut log = self.log();
        let held = log.projections.leases.entry(lease.to_owned()).or_insert(Held {
            owner: None,
            epoch: 0,
            expires_at: now,
            report: None,
        });
        let is_own = held.owner.as_deref() == Some(owner);
        if !is_own && held.owner.is_some() && held.expires_at > now {
            return Ok(None);
        }
        held.epoch += u64::from(!is_own);
        held.owner = Some(owner.to_owned());
        held.expires_at = now + ttl.min(Lease::LONGEST);
        Ok(Some(Lease {
            name: lease.to_owned(),
            owner: owner.to_owned(),
            epoch: held.epoch,
        }))
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        let mut log = self.log();
        let holds = log.projections.holds(lease);
        if let Some(held) = log.projections.leases.get_mut(&lease.name).filter(|_| holds) {
            held.expires_at = Instant::now() + ttl.min(Lease::LONGEST);
        }
        Ok(holds)
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut log = self.log();
        let holds = log.projections.holds(lease);
        if let Some(held) = log.projections.leases.get_mut(&lease.name).filter(|_| holds) {
            held.owner = None;
        }
        Ok(())
    }

    async fn report(&self, lease: &Lease, text: &str) -> Result<bool, StoreError> {
        Report::check(text)?;
        let report = Report {
            text: text.to_owned(),
            epoch: lease.epoch,
            at: self.clock.now(),
        };
        let mut log = self.log();
        let holds = log.projections.holds(lease);
        if let Some(held) = log.projections.leases.get_mut(&lease.name).filter(|_| holds) {
            held.report = Some(report);
        }
        Ok(holds)
    }

    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError> {
        check_name("lease", name)?;
        let now = Instant::now();
        Ok(self.log().projections.leases.get(name).map(|held| LeaseState {
            owner: held.owner.clone().filter(|_| held.expires_at > now),
            epoch: held.epoch,
            report: held.report.clone(),
        }))
    }

    async fn checkpoint(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError> {
        check_name("reader", reader)?;
        let log = self.log();
        let Some(stored) = log.projections.checkpoint(reader) else {
            return Ok(None);
        };
        let found = log.id_at(stored.position);
        match stored.event {
            Some(expected) if found != Some(expected) => Err(CheckpointError::Diverged {
                reader: reader.to_owned(),
                position: stored.position,
                expected,
                found,
            }),
            _ => Ok(Some(Checkpoint {
                position: stored.position,
                updated_at: stored.updated_at,
            })),
        }
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        commit.check()?;
        let now = self.clock.now();
        self.log().commit(commit, now)
    }

    async fn forget(&self, reader: &str, table: Option<&RowTable>, lease: &Lease) -> Result<(), CommitError> {
        check_name("reader", reader)?;
        let mut log = self.log();
        log.projections.check_lease(lease)?;
        if let Some(table) = table {
            log.projections.table(table)?.clear();
        }
        log.projections.readers.remove(reader);
        Ok(())
    }

    async fn replace(&self, replace: Replace) -> Result<(), CommitError> {
        replace.check()?;
        let now = self.clock.now();
        self.log().projections.replace(replace, now)
    }

    async fn drop_table(&self, table: &RowTable, readers: &[String], lease: &Lease) -> Result<(), CommitError> {
        table.check()?;
        let mut log = self.log();
        log.projections.check_lease(lease)?;
        log.projections.tables.remove(&table.name());
        for reader in readers {
            log.projections.readers.remove(reader);
        }
        Ok(())
    }

    async fn versions(&self, projection: &str) -> Result<Vec<u32>, StoreError> {
        let log = self.log();
        let names = log.projections.tables.keys();
        let mut versions: Vec<u32> = names
            .filter_map(|name| RowTable::version_of(projection, name))
            .collect();
        versions.sort_unstable();
        Ok(versions)
    }

    async fn differences(&self, old: &RowTable, new: &RowTable, limit: u32) -> Result<Differences, StoreError> {
        self.log().projections.differences(&old.name(), &new.name(), limit)
    }

    async fn create_table(&self, table: &RowTable) -> Result<(), StoreError> {
        table.check()?;
        self.log().projections.tables.entry(table.name()).or_default();
        Ok(())
    }

    async fn rows(&self, table: &RowTable, keys: &[String]) -> Result<Vec<Option<Row>>, StoreError> {
        let mut log = self.log();
        let rows = log.projections.table(table)?;
        Ok(keys.iter().map(|key| rows.get(key).cloned()).collect())
    }

    async fn list_rows(&self, table: &RowTable, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
        query.check()?;
        let mut log = self.log();
        let rows = log.projections.table(table)?;
        let mut found: Vec<(Option<FieldValue>, &Row)> = rows
            .values()
            .filter(|row| query.filters.iter().all(|filter| fulfils(row, filter)))
            .map(|row| (place(row, query), row))
            .filter(|(value, row)| {
                let is_behind = |after: &RowCursor| order(query, (value, &row.key), (&after.value, &after.key)).is_gt();
                query.after.as_ref().is_none_or(is_behind)
            })
            .collect();
        found.sort_by(|(value, row), (other, behind)| order(query, (value, &row.key), (other, &behind.key)));
        found.truncate(query.limit.map_or(usize::MAX, |limit| usize_of(limit.into())));
        Ok(found.into_iter().map(|(_, row)| row.clone()).collect())
    }

    async fn count_rows(&self, table: &RowTable, count: &RowCount) -> Result<Vec<RowGroup>, StoreError> {
        count.check()?;
        let mut log = self.log();
        let rows = log.projections.table(table)?.values();
        let counted = rows.filter(|row| count.filters.iter().all(|filter| fulfils(row, filter)));
        let Some(field) = &count.group_by else {
            let count = counted.count() as u64;
            return Ok(vec![RowGroup { value: None, count }]);
        };
        Ok(RowGroup::sorted(counted.map(|row| RowGroup {
            value: field_of(&row.data, field),
            count: 1,
        })))
    }

    async fn parked(&self, reader: &str, after: Position, limit: u32) -> Result<Vec<Parked>, StoreError> {
        check_name("reader", reader)?;
        let log = self.log();
        let Some(reader) = log.projections.readers.get(reader) else {
            return Ok(Vec::new());
        };
        let behind = reader.parked.range(after.next()..);
        Ok(behind
            .map(|(_, parked)| parked.clone())
            .take(usize_of(limit.into()))
            .collect())
    }
}

fn fulfils(row: &Row, filter: &RowFilter) -> bool {
    field_of(&row.data, &filter.field).is_some_and(|value| filter.holds(&value))
}

/// The value by which the row is ordered.
fn place(row: &Row, query: &RowQuery) -> Option<FieldValue> {
    query.order_by.as_ref().and_then(|field| field_of(&row.data, field))
}

/// The order of two rows by value and key.
fn order(query: &RowQuery, one: (&Option<FieldValue>, &str), other: (&Option<FieldValue>, &str)) -> Ordering {
    let turned = |order: Ordering| if query.descending { order.reverse() } else { order };
    let values = match (one.0, other.0) {
        (Some(value), Some(other)) => turned(value.place(other).unwrap_or(Ordering::Equal)),
        (None, None) => Ordering::Equal,
        (None, Some(_)) if query.nulls_first => Ordering::Less,
        (Some(_), None) if query.nulls_first => Ordering::Greater,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
    };
    values.then_with(|| turned(one.1.cmp(other.1)))
}
