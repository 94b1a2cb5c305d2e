//! The rows that change with appends: locked before these, folded and written behind them.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use es_runtime::Position;
use es_runtime::store::{AppendError, Appended, InlineError, InlineReader, InlineRows, RowChange};
use futures_util::future::try_join_all;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Error, GenericClient, Row, Statement};

use super::no_table;
use crate::error::Problem;
use crate::rows::{Json, column};

pub(crate) const LOCK: &str = "SELECT level, keys, data FROM \"es\".lock_rows($1, $2, $3, $4, $5)";
pub(crate) const WRITE: &str = "SELECT \"es\".take_in_rows($1, $2, $3, $4, $5, $6, $7)";

/// The rows that the appends of one transaction change, by projection.
pub(crate) struct Changing<'a>(Vec<Table<'a>>);

struct Table<'a> {
    projection: &'a InlineReader,
    name: String,
    /// Each once.
    keys: Vec<&'a str>,
    is_level: bool,
    /// The rows with these keys, as the appends that were folded have left them.
    rows: HashMap<String, Bytes>,
    /// An index is written from left to right.
    changes: BTreeMap<String, RowChange>,
    /// The last event that was folded, if any was.
    last: Option<Position>,
}

impl<'a> Changing<'a> {
    /// The rows of these projections of these appends.
    pub(crate) fn of(all: impl Iterator<Item = &'a InlineRows>) -> Self {
        let mut tables: Vec<Table<'a>> = Vec::new();
        for rows in all {
            let name = rows.table.name();
            let index = tables.iter().position(|table| table.is_of(rows, &name));
            let table = match index {
                Some(index) => &mut tables[index],
                None => {
                    tables.push(Table::new(&rows.projection, name));
                    tables.last_mut().unwrap_or_else(|| unreachable!("it was added"))
                }
            };
            table.keys.extend(rows.fold.keys().iter().map(String::as_str));
        }
        for table in &mut tables {
            table.keys.sort_unstable();
            table.keys.dedup();
        }
        Self(tables)
    }

    /// Locks the log, and reads the rows.
    pub(crate) async fn lock(&mut self, client: &impl GenericClient, lock: &Statement) -> Result<(), NotLocked> {
        try_join_all(self.0.iter_mut().map(|table| table.lock(client, lock))).await?;
        Ok(())
    }

    /// Folds the events of an append that has taken its place in the log. Its projections are numbered from `first`.
    pub(crate) fn fold(&mut self, all: &[InlineRows], first: usize, appended: &Appended) -> Result<(), InlineError> {
        let events: usize = appended.streams.iter().map(|part| part.events).sum();
        let last = appended.head().filter(|_| events > 0);
        let before = Position(last.unwrap_or_default().0 - events as u64);
        let mut tables = Vec::with_capacity(all.len());
        for (projection, rows) in (first..).zip(all) {
            let name = rows.table.name();
            let table = self.0.iter().position(|table| table.is_of(rows, &name));
            match table.filter(|table| self.0[*table].is_level) {
                Some(table) => tables.push(table),
                None => return Err(InlineError::Behind { projection }),
            }
        }
        let mut folded = Vec::with_capacity(all.len());
        for ((projection, rows), table) in (first..).zip(all).zip(&tables) {
            folded.push(rows.fold.run(projection, &self.0[*table].data(rows))?);
        }
        for (table, changes) in tables.into_iter().zip(folded) {
            self.0[table].keep(changes, before);
            self.0[table].last = last.or(self.0[table].last);
        }
        Ok(())
    }

    /// Writes what was folded, and moves the checkpoints.
    pub(crate) async fn write(&self, client: &impl GenericClient, write: &Statement) -> Result<(), Problem> {
        try_join_all(self.0.iter().map(|table| table.write(client, write))).await?;
        Ok(())
    }
}

impl<'a> Table<'a> {
    fn new(projection: &'a InlineReader, name: String) -> Self {
        Self {
            projection,
            name,
            keys: Vec::new(),
            is_level: false,
            rows: HashMap::new(),
            changes: BTreeMap::new(),
            last: None,
        }
    }

    fn is_of(&self, rows: &InlineRows, name: &str) -> bool {
        self.name == name && *self.projection == *rows.projection
    }

    async fn lock(&mut self, client: &impl GenericClient, lock: &Statement) -> Result<(), NotLocked> {
        let InlineReader {
            reader,
            mark,
            categories,
        } = self.projection;
        let locked = client
            .query_one(lock, &[reader, mark, categories, &self.name, &self.keys])
            .await;
        locked.and_then(|locked| self.read(&locked)).map_err(|error| NotLocked {
            table: self.name.clone(),
            problem: error.into(),
        })
    }

    fn read(&mut self, locked: &Row) -> Result<(), Error> {
        self.is_level = locked.try_get(0)?;
        let keys: Option<Vec<&str>> = locked.try_get(1)?;
        let data: Option<Vec<Json<'_>>> = locked.try_get(2)?;
        let found = keys.into_iter().flatten().zip(data.into_iter().flatten());
        self.rows = found
            .map(|(key, data)| (key.to_owned(), Bytes::copy_from_slice(data.0)))
            .collect();
        Ok(())
    }

    /// The rows of one append, in the order of its keys.
    fn data(&self, rows: &InlineRows) -> Vec<Option<Bytes>> {
        let keys = rows.fold.keys().iter();
        keys.map(|key| self.rows.get(&**key).cloned()).collect()
    }

    /// Takes over what an append behind `before` changes.
    fn keep(&mut self, changes: Vec<RowChange>, before: Position) {
        for change in changes {
            match &change.data {
                Some(data) => self.rows.insert(change.key.clone(), data.clone()),
                None => self.rows.remove(&change.key),
            };
            self.changes.insert(change.key.clone(), change.behind(before));
        }
    }

    async fn write(&self, client: &impl GenericClient, write: &Statement) -> Result<(), Problem> {
        let Some(last) = self.last else { return Ok(()) };
        let (mut keys, mut data, mut positions, mut deleted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (key, change) in &self.changes {
            match &change.data {
                None => deleted.push(&**key),
                Some(json) => {
                    keys.push(&**key);
                    data.push(Json(json));
                    positions.push(column(change.position.0));
                }
            }
        }
        let reader = &self.projection.reader;
        let last = column(last.0);
        client
            .query_one(write, &[reader, &last, &self.name, &keys, &data, &positions, &deleted])
            .await?;
        Ok(())
    }
}

/// Rows that could not be locked.
pub(crate) struct NotLocked {
    table: String,
    pub(crate) problem: Problem,
}

impl NotLocked {
    /// The error of an append to these rows, if it is to blame: their table is not there.
    pub(crate) fn blames(&self, all: &[InlineRows]) -> Option<InlineError> {
        let is_missing = self.problem.code() == Some(&SqlState::UNDEFINED_TABLE);
        let mut missing = all.iter().filter(|rows| is_missing && rows.table.name() == self.table);
        let missing = missing.next()?;
        Some(AppendError::Store(no_table(&missing.table)).into())
    }
}
