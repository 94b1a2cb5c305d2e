//! The tables of rows that the store keeps.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use foldhash::HashMap;

use super::{Log, MemoryStore, usize_of};
use crate::StoreError;
use crate::store::{
    Commit, CommitError, Difference, Differences, FieldValue, Lease, Replace, Row, RowChange, RowCount, RowCursor,
    RowFilter, RowGroup, RowQuery, RowStore, RowTable, field_of, rejected,
};

/// The rows of each table, by its name.
#[derive(Default)]
pub(super) struct Tables(HashMap<String, BTreeMap<String, Row>>);

impl Tables {
    pub(super) fn of(&mut self, table: &RowTable) -> Result<&mut BTreeMap<String, Row>, StoreError> {
        let name = table.name();
        self.0.get_mut(&name).ok_or_else(|| no_table(&name))
    }

    fn differences(&self, old: &str, new: &str, limit: u32) -> Result<Differences, StoreError> {
        let rows = |name: &str| self.0.get(name).ok_or_else(|| no_table(name));
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

impl Log {
    /// Checks everything before anything is written.
    fn commit(&mut self, commit: Commit) -> Result<(), CommitError> {
        self.cursors.check(&commit.advance)?;
        let rows = self.tables.of(&commit.table)?;
        commit.rows.into_iter().for_each(|change| write(rows, change));
        Ok(())
    }

    /// Checks everything before anything is written.
    fn replace(&mut self, replace: &Replace) -> Result<(), CommitError> {
        self.cursors.check_lease(&replace.lease)?;
        self.cursors.check_place(&replace.beside, replace.to)?;
        self.cursors.check_place(&replace.reader, replace.from)?;
        self.tables.of(&replace.table)?;
        let rows = std::mem::take(self.tables.of(&replace.table_beside)?);
        self.tables.0.remove(&replace.table_beside.name());
        self.tables.0.insert(replace.table.name(), rows);
        Ok(())
    }
}

fn no_table(name: &str) -> StoreError {
    rejected(format!("there is no table `{name}`: create it first"))
}

pub(super) fn write(rows: &mut BTreeMap<String, Row>, RowChange { key, data, position }: RowChange) {
    match data {
        None => rows.remove(&key),
        Some(data) => rows.insert(key.clone(), Row { key, data, position }),
    };
}

#[async_trait]
impl RowStore for MemoryStore {
    async fn create_table(&self, table: &RowTable) -> Result<(), StoreError> {
        self.log().tables.0.entry(table.name()).or_default();
        Ok(())
    }

    async fn rows(&self, table: &RowTable, keys: &[String]) -> Result<Vec<Option<Row>>, StoreError> {
        let mut log = self.log();
        let rows = log.tables.of(table)?;
        Ok(keys.iter().map(|key| rows.get(key).cloned()).collect())
    }

    async fn list_rows(&self, table: &RowTable, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
        let mut log = self.log();
        let rows = log.tables.of(table)?;
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
        let mut log = self.log();
        let rows = log.tables.of(table)?.values();
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

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let now = self.clock.now();
        let mut log = self.log();
        let advance = commit.advance.clone();
        log.commit(commit)?;
        log.cursors.advance(advance, now);
        Ok(())
    }

    async fn clear(&self, table: &RowTable, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        let mut log = self.log();
        log.cursors.check_lease(lease)?;
        log.tables.of(table)?.clear();
        log.cursors.forget(reader);
        Ok(())
    }

    async fn replace(&self, replace: Replace) -> Result<(), CommitError> {
        let now = self.clock.now();
        let mut log = self.log();
        log.replace(&replace)?;
        log.cursors.replace(replace.reader, &replace.beside, now);
        Ok(())
    }

    async fn differences(&self, old: &RowTable, new: &RowTable, limit: u32) -> Result<Differences, StoreError> {
        self.log().tables.differences(&old.name(), &new.name(), limit)
    }

    async fn versions(&self, projection: &str) -> Result<Vec<u32>, StoreError> {
        let log = self.log();
        let names = log.tables.0.keys();
        let mut versions: Vec<u32> = names
            .filter_map(|name| RowTable::version_of(projection, name))
            .collect();
        versions.sort_unstable();
        Ok(versions)
    }

    async fn drop_table(&self, table: &RowTable, readers: &[String], lease: &Lease) -> Result<(), CommitError> {
        let mut log = self.log();
        log.cursors.check_lease(lease)?;
        log.tables.0.remove(&table.name());
        for reader in readers {
            log.cursors.forget(reader);
        }
        Ok(())
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
