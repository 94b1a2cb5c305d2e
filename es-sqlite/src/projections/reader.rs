//! Reads for projections.

use bytes::Bytes;
use es_runtime::store::{
    Checkpoint, Difference, Differences, FieldValue, LeaseState, ParkReason, Parked, Report, Row, RowCount, RowGroup,
    RowQuery, RowTable,
};
use es_runtime::{EventId, Position, StoreError};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params_from_iter};

use super::table::TableSql;
use super::writer::{check_table, is_held, now};
use crate::error::Problem;
use crate::rows;
use crate::statements::Statements;

/// Reads what is kept for projections. Each method is one statement beside the question whether a table is there.
pub(crate) struct ProjectionReader<'c> {
    statements: Statements<'c>,
}

impl<'c> ProjectionReader<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self {
            statements: Statements::new(connection),
        }
    }

    /// Returns whether another owner has the lease, so that the writer need not be asked.
    pub(crate) fn is_leased(&mut self, lease: &str, owner: &str) -> Result<bool, Problem> {
        let sql = concat!("SELECT 1 FROM leases WHERE name = ?1 AND owner <> ?2 AND ", is_held!());
        Ok(self.statements.get(sql)?.exists((lease, owner))?)
    }

    pub(crate) fn lease(&mut self, name: &str) -> Result<Option<LeaseState>, Problem> {
        let sql = concat!(
            "SELECT CASE WHEN ",
            is_held!(),
            " THEN l.owner END, l.epoch, r.text, r.epoch, r.reported_at
              FROM leases AS l LEFT JOIN reports AS r ON r.lease = l.name WHERE l.name = ?1"
        );
        let mut found = self.statements.get(sql)?.query([name])?;
        let Some(row) = found.next()? else { return Ok(None) };
        let text: Option<String> = row.get(2)?;
        let report = text.map(|text| {
            Ok::<_, Problem>(Report {
                text,
                epoch: rows::number(row.get(3)?),
                at: rows::time(row, 4)?,
            })
        });
        Ok(Some(LeaseState {
            owner: row.get(0)?,
            epoch: rows::number(row.get(1)?),
            report: report.transpose()?,
        }))
    }

    pub(crate) fn checkpoint(&mut self, reader: &str) -> Result<Option<Checkpoint>, Problem> {
        let sql = "SELECT position, event_id, updated_at FROM checkpoints WHERE reader = ?1";
        let mut found = self.statements.get(sql)?.query([reader])?;
        let Some(row) = found.next()? else { return Ok(None) };
        Ok(Some(Checkpoint {
            position: Position(rows::number(row.get(0)?)),
            event: event_id(row, 1)?,
            updated_at: rows::time(row, 2)?,
        }))
    }

    pub(crate) fn rows(
        &mut self,
        table: &RowTable,
        keys: &[String],
    ) -> Result<Result<Vec<Option<Row>>, StoreError>, Problem> {
        if let Err(absent) = check_table(&mut self.statements, table)? {
            return Ok(Err(absent));
        }
        let keys = serde_json::to_string(keys).unwrap_or_else(|_| unreachable!("text has a JSON form"));
        let mut found = self.statements.get(&TableSql::new(table).rows())?.query([keys])?;
        let mut read = Vec::new();
        while let Some(row) = found.next()? {
            let is_there = row.get::<_, Option<i64>>(2)?.is_some();
            read.push(if is_there { Some(self::row(row)?) } else { None });
        }
        Ok(Ok(read))
    }

    pub(crate) fn list(&mut self, table: &RowTable, query: &RowQuery) -> Result<Result<Vec<Row>, StoreError>, Problem> {
        if let Err(absent) = check_table(&mut self.statements, table)? {
            return Ok(Err(absent));
        }
        let (sql, parameters) = match TableSql::new(table).list(query) {
            Ok(list) => list,
            Err(refused) => return Ok(Err(refused)),
        };
        let found = self
            .statements
            .get(&sql)?
            .query_map(params_from_iter(parameters), row)?;
        Ok(Ok(found.collect::<Result<_, _>>()?))
    }

    pub(crate) fn count(
        &mut self,
        table: &RowTable,
        count: &RowCount,
    ) -> Result<Result<Vec<RowGroup>, StoreError>, Problem> {
        if let Err(absent) = check_table(&mut self.statements, table)? {
            return Ok(Err(absent));
        }
        let (sql, parameters) = match TableSql::new(table).count(count) {
            Ok(counted) => counted,
            Err(refused) => return Ok(Err(refused)),
        };
        let mut found = self.statements.get(&sql)?.query(params_from_iter(parameters))?;
        let mut groups = Vec::new();
        while let Some(row) = found.next()? {
            let value = match row.get_ref(0)? {
                ValueRef::Integer(integer) => Some(FieldValue::Integer(integer)),
                ValueRef::Real(float) => Some(FieldValue::Float(float)),
                ValueRef::Text(_) => Some(FieldValue::Text(row.get(0)?)),
                ValueRef::Null | ValueRef::Blob(_) => None,
            };
            groups.push(RowGroup {
                value,
                count: rows::number(row.get(1)?),
            });
        }
        Ok(Ok(RowGroup::sorted(groups)))
    }

    pub(crate) fn versions(&mut self, projection: &str) -> Result<Vec<u32>, Problem> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, length(?1)) = ?1";
        let mut found = self.statements.get(sql)?.query([projection])?;
        let mut versions = Vec::new();
        while let Some(row) = found.next()? {
            let name: String = row.get(0)?;
            versions.extend(RowTable::version_of(projection, &name));
        }
        versions.sort_unstable();
        Ok(versions)
    }

    pub(crate) fn differences(
        &mut self,
        old: &RowTable,
        new: &RowTable,
        limit: u32,
    ) -> Result<Result<Differences, StoreError>, Problem> {
        for table in [old, new] {
            if let Err(absent) = check_table(&mut self.statements, table)? {
                return Ok(Err(absent));
            }
        }
        // One row at least, for the count.
        let sql = TableSql::new(old).differences(&TableSql::new(new));
        let mut found = self.statements.get(&sql)?.query([limit.max(1)])?;
        let mut differences = Differences::default();
        while let Some(row) = found.next()? {
            differences.count = rows::number(row.get(3)?);
            differences.first.push(Difference {
                key: row.get(0)?,
                old: row.get(1)?,
                new: row.get(2)?,
            });
        }
        differences.first.truncate(limit.try_into().unwrap_or(usize::MAX));
        Ok(Ok(differences))
    }

    pub(crate) fn parked(&mut self, reader: &str, after: Position, limit: u32) -> Result<Vec<Parked>, Problem> {
        let sql = "SELECT position, event_id, reason, error, attempts FROM parked
                   WHERE reader = ?1 AND position > ?2 ORDER BY position LIMIT ?3";
        let mut found = self
            .statements
            .get(sql)?
            .query((reader, rows::column(after.0), limit))?;
        let mut parked = Vec::new();
        while let Some(row) = found.next()? {
            parked.push(Parked {
                position: Position(rows::number(row.get(0)?)),
                event: EventId(rows::uuid(row, 1)?),
                reason: reason(&row.get::<_, String>(2)?)?,
                error: row.get(3)?,
                attempts: row.get(4)?,
            });
        }
        Ok(parked)
    }
}

fn reason(name: &str) -> Result<ParkReason, Problem> {
    ParkReason::named(name)
        .ok_or_else(|| Problem::Damaged(format!("this build parks no event for the reason {name:?}")))
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        key: row.get(0)?,
        data: Bytes::copy_from_slice(rows::bytes(row, 1)?),
        position: Position(rows::number(row.get(2)?)),
    })
}

fn event_id(row: &rusqlite::Row<'_>, index: usize) -> Result<Option<EventId>, Problem> {
    let is_there = row.get_ref(index)? != ValueRef::Null;
    is_there.then(|| rows::uuid(row, index).map(EventId)).transpose()
}
