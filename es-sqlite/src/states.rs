//! The table of states, as the writer and the readers see it.

mod store;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use es_runtime::Timestamp;
use es_runtime::store::{Change, Demand, Purge, SaveError, StateChange, StateKey};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::crc::Crc;
use crate::error::Problem;
use crate::reader::Page;
use crate::rows;
use crate::statement::Prepared;

pub(crate) struct States<'c> {
    get: Prepared<'c>,
    before: Prepared<'c>,
    after: Prepared<'c>,
    page: Prepared<'c>,
    namespaces: Prepared<'c>,
    put: Prepared<'c>,
    follow: Prepared<'c>,
    savepoint: Prepared<'c>,
    undo: Prepared<'c>,
    release: Prepared<'c>,
    remove: Prepared<'c>,
    remove_deleted: Prepared<'c>,
}

macro_rules! columns {
    () => {
        "namespace, kind, id, sequence, change, shape, saved_at, payload, checksum"
    };
}

/// SQL that checks whether the entry of the index next to a place agrees with its row.
macro_rules! neighbour {
    ($part:literal) => {
        concat!(
            "SELECT (entry.namespace, entry.kind, entry.id) = (s.namespace, s.kind, s.id)
             FROM (SELECT number, namespace, kind, id FROM states WHERE (namespace, kind, id) ",
            $part,
            " LIMIT 1) AS entry LEFT JOIN states AS s ON s.number = entry.number"
        )
    };
}

impl<'c> States<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        let prepared = |sql| Prepared::new(connection, sql);
        Self {
            get: prepared(concat!(
                "SELECT ",
                columns!(),
                " FROM states WHERE namespace = ?1 AND kind = ?2 AND id = ?3"
            )),
            before: prepared(neighbour!("< (?1, ?2, ?3) ORDER BY namespace DESC, kind DESC, id DESC")),
            after: prepared(neighbour!("> (?1, ?2, ?3) ORDER BY namespace, kind, id")),
            page: prepared(concat!(
                "SELECT ",
                columns!(),
                " FROM states WHERE namespace = ?1 AND (kind, id) > (?2, ?3) ORDER BY kind, id LIMIT ?4"
            )),
            // From one namespace to the next, by the index.
            namespaces: prepared(
                "WITH RECURSIVE found (namespace) AS (
                     SELECT min(namespace) FROM states
                     UNION ALL
                     SELECT (SELECT min(s.namespace) FROM states AS s WHERE s.namespace > f.namespace)
                     FROM found AS f WHERE f.namespace IS NOT NULL
                 )
                 SELECT namespace FROM found WHERE namespace IS NOT NULL",
            ),
            put: prepared(concat!(
                "INSERT INTO states (",
                columns!(),
                ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (namespace, kind, id) DO UPDATE
                 SET sequence = excluded.sequence, change = excluded.change, shape = excluded.shape,
                     saved_at = excluded.saved_at, payload = excluded.payload, checksum = excluded.checksum"
            )),
            follow: prepared(
                "UPDATE states SET sequence = ?4, change = ?5, shape = ?6, saved_at = ?7, payload = ?8, checksum = ?9
                 WHERE namespace = ?1 AND kind = ?2 AND id = ?3 AND sequence = ?4 - 1",
            ),
            savepoint: prepared("SAVEPOINT states"),
            undo: prepared("ROLLBACK TO states"),
            release: prepared("RELEASE states"),
            remove: prepared("DELETE FROM states WHERE namespace = ?1 AND kind = ?2 AND id = ?3"),
            remove_deleted: prepared("DELETE FROM states WHERE namespace = ?1 AND change = 2 AND saved_at < ?2"),
        }
    }

    /// Writes the changes that fit, unless one is refused: then none.
    pub(crate) fn save(
        &mut self,
        changes: &[StateChange],
        demand: Demand,
        now: Timestamp,
    ) -> Result<Result<(), SaveError>, Problem> {
        if let [change] = changes {
            return self.save_one(change, demand, now);
        }
        self.savepoint.get()?.execute([])?;
        for change in changes {
            let saved = self.save_one(change, demand, now)?;
            if saved.is_err() {
                self.undo.get()?.execute([])?;
                self.release.get()?.execute([])?;
                return Ok(saved);
            }
        }
        self.release.get()?.execute([])?;
        Ok(Ok(()))
    }

    fn save_one(
        &mut self,
        change: &StateChange,
        demand: Demand,
        now: Timestamp,
    ) -> Result<Result<(), SaveError>, Problem> {
        // Most changes follow on the kept one, and need not read it.
        if demand == Demand::Next && change.sequence > 1 && write(&mut self.follow, change, now)? {
            return Ok(Ok(()));
        }
        match change.fits(self.get(&change.key)?.as_ref(), demand) {
            Ok(true) => write(&mut self.put, change, now).map(|_| Ok(())),
            Ok(false) => Ok(Ok(())),
            Err(refused) => Ok(Err(refused)),
        }
    }

    pub(crate) fn get(&mut self, key: &StateKey) -> Result<Option<StateChange>, Problem> {
        let place = (&*key.namespace, &*key.kind, &*key.id);
        let mut found = self.get.get()?.query(place)?;
        if let Some(row) = found.next()? {
            let mut payloads = Vec::new();
            let (change, payload) = change(row, &mut Names::default(), &mut payloads)?;
            let payload = payload.map(|_| Bytes::from(payloads));
            return Ok(Some(StateChange { payload, ..change }));
        }
        drop(found);
        // An entry of the index that was changed on the disk still stands where it stood: the search ended next to it.
        check_neighbour(&mut self.before, place)?;
        check_neighbour(&mut self.after, place)?;
        Ok(None)
    }

    /// The entities of a namespace behind `after`, of which there may be `most`.
    pub(crate) fn page(
        &mut self,
        namespace: &str,
        after: Option<&StateKey>,
        most: u64,
    ) -> Result<Page<StateChange>, Problem> {
        // No name is empty.
        let (kind, id) = after.map_or(("", ""), |after| (&*after.kind, &*after.id));
        if after.is_none() {
            // The entry of the first one may have been changed, as above.
            check_neighbour(&mut self.before, (namespace, kind, id))?;
        }
        let rows = self.page.get()?.query((namespace, kind, id, rows::column(most)))?;
        let (mut names, mut payloads) = (Names::default(), Vec::new());
        let size = |(_, payload): &(StateChange, Option<Range<usize>>)| payload.as_ref().map_or(0, Range::len);
        let page = Page::collect(rows, most, size, |row| change(row, &mut names, &mut payloads))?;
        let payloads = Bytes::from(payloads);
        let items = page.items.into_iter().map(|(change, payload)| StateChange {
            payload: payload.map(|payload| payloads.slice(payload)),
            ..change
        });
        let page = Page {
            items: items.collect(),
            is_last: page.is_last,
        };
        if page.is_last {
            // Or the last one.
            let (kind, id) = page
                .items
                .last()
                .map_or((kind, id), |last| (&*last.key.kind, &*last.key.id));
            check_neighbour(&mut self.after, (namespace, kind, id))?;
        }
        Ok(page)
    }

    /// The namespaces in which an entity is kept.
    pub(crate) fn namespaces(&mut self) -> Result<Vec<String>, Problem> {
        let namespaces = self.namespaces.get()?.query_map([], |row| row.get(0))?;
        Ok(namespaces.collect::<Result<_, _>>()?)
    }

    /// Removes what is to be purged, and tells how many entities that was.
    pub(crate) fn purge(&mut self, purge: &Purge) -> Result<usize, Problem> {
        match purge {
            Purge::Entities(keys) => {
                let remove = self.remove.get()?;
                keys.iter().try_fold(0, |removed, StateKey { namespace, kind, id }| {
                    Ok(removed + remove.execute((&**namespace, &**kind, id))?)
                })
            }
            Purge::Tombstones { namespace, before } => {
                Ok(self.remove_deleted.get()?.execute((namespace, before.as_micros()))?)
            }
        }
    }
}

/// Checks that the entry which a statement finds next to a place is what its row says.
fn check_neighbour(statement: &mut Prepared<'_>, place: (&str, &str, &str)) -> Result<(), Problem> {
    let is_right: Option<Option<bool>> = statement.get()?.query_row(place, |row| row.get(0)).optional()?;
    match is_right {
        None | Some(Some(true)) => Ok(()),
        Some(Some(false) | None) => Err(Problem::Damaged(
            "the index of states does not go with the states".to_owned(),
        )),
    }
}

/// Writes a change by a statement. Returns whether that has written anything.
fn write(statement: &mut Prepared<'_>, change: &StateChange, now: Timestamp) -> Result<bool, Problem> {
    let StateKey { namespace, kind, id } = &change.key;
    let written = statement.get()?.execute((
        &**namespace,
        &**kind,
        id,
        rows::column(change.sequence),
        number_of(change.change),
        change.shape.cast_signed(),
        now.as_micros(),
        change.payload.as_deref().map(rows::payload),
        checksum(change, change.payload.as_deref(), now.as_micros()),
    ))?;
    Ok(written > 0)
}

/// The names in the keys of a page, of which there are few.
#[derive(Default)]
struct Names {
    namespace: Option<Arc<str>>,
    kind: Option<Arc<str>>,
}

/// Returns the name as it was before, if it is the same.
fn shared(name: &mut Option<Arc<str>>, text: &str) -> Arc<str> {
    match name {
        Some(name) if **name == *text => Arc::clone(name),
        _ => Arc::clone(name.insert(text.into())),
    }
}

/// The change of a row, if it is as it was saved. Its payload is put behind those before, because many small pieces of memory are
/// dear.
fn change(
    row: &Row<'_>,
    names: &mut Names,
    payloads: &mut Vec<u8>,
) -> Result<(StateChange, Option<Range<usize>>), Problem> {
    let key = StateKey {
        namespace: shared(&mut names.namespace, rows::text(row, 0)?),
        kind: shared(&mut names.kind, rows::text(row, 1)?),
        id: rows::text(row, 2)?.to_owned(),
    };
    let damaged = |key| {
        Problem::Damaged(format!(
            "the state of `{key}` is not as it was saved: its checksum differs"
        ))
    };
    let payload = match row.get_ref(7)? {
        ValueRef::Null => None,
        _ => Some(rows::bytes(row, 7)?),
    };
    let change = StateChange {
        sequence: rows::number(row.get(3)?),
        change: match row.get(4)? {
            0 => Change::Create,
            1 => Change::Update,
            2 => Change::Delete,
            _ => return Err(damaged(key)),
        },
        shape: row.get::<_, i64>(5)?.cast_unsigned(),
        payload: None,
        key,
    };
    if row.get::<_, i64>(8)? != i64::from(checksum(&change, payload, row.get(6)?)) {
        return Err(damaged(change.key));
    }
    let payload = payload.map(|payload| {
        let begin = payloads.len();
        payloads.extend_from_slice(payload);
        begin..payloads.len()
    });
    Ok((change, payload))
}

fn number_of(change: Change) -> u8 {
    match change {
        Change::Create => 0,
        Change::Update => 1,
        Change::Delete => 2,
    }
}

/// Tells a change from one that the disk has changed. No payload and an empty one differ by what was done.
fn checksum(change: &StateChange, payload: Option<&[u8]>, saved_at: i64) -> u32 {
    let StateKey { namespace, kind, id } = &change.key;
    let named = [namespace.as_bytes(), kind.as_bytes(), id.as_bytes()];
    let numbered = named
        .into_iter()
        .fold(Crc::new(), Crc::sized)
        .number(change.sequence)
        .number(number_of(change.change).into())
        .number(change.shape);
    let timed = numbered.fixed(&saved_at.to_le_bytes());
    timed.sized(payload.unwrap_or_default()).finish()
}
