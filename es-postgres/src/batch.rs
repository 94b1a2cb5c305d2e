//! Appends on their way to the server, and its answer for each.

use std::collections::HashSet;
use std::sync::Arc;

use es_runtime::store::{Append, AppendError, Appended, InlineReader, InlineRows, StreamAppended};
use es_runtime::{AppendId, ExpectedVersion, Position, Timestamp, Version};
use tokio_postgres::types::ToSql;
use tokio_postgres::{GenericClient, Row, Statement};
use uuid::Uuid;

use crate::error::Problem;
use crate::rows::{Cells, Json, Time, column};
use crate::schema::Schema;

/// An append with what is needed to send it.
pub(crate) struct Encoded {
    pub(crate) append: Append,
    /// The rows that change with it. None, if it is of a chain.
    pub(crate) rows: Vec<InlineRows>,
    /// The metadata of its events, as JSON.
    metadata: Vec<String>,
    /// The approximate number of bytes it has.
    pub(crate) bytes: usize,
}

impl Encoded {
    /// Checks what PostgreSQL cannot store, so that the appends sent together with this one are not touched by it.
    pub(crate) fn new(append: Append) -> Result<Self, AppendError> {
        Self::with_rows(append, Vec::new())
    }

    /// The same, of an append with which rows change.
    pub(crate) fn with_rows(append: Append, rows: Vec<InlineRows>) -> Result<Self, AppendError> {
        check(&append)?;
        let metadata: Vec<String> = append.events().map(|event| event.metadata.to_json()).collect();
        let bytes = append.events().map(|event| event.payload.len() + 64).sum::<usize>()
            + metadata.iter().map(String::len).sum::<usize>()
            + append
                .streams
                .iter()
                .map(|part| part.stream.id().len() + 64)
                .sum::<usize>();
        Ok(Self {
            append,
            rows,
            metadata,
            bytes,
        })
    }
}

fn check(append: &Append) -> Result<(), AppendError> {
    for event in append.events() {
        if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&event.payload) {
            return Err(invalid(format!(
                "the payload of event `{}` is not JSON: {error}",
                event.name
            )));
        }
    }
    Ok(())
}

pub(crate) fn invalid(reason: String) -> AppendError {
    AppendError::Invalid { reason }
}

/// Decides whether an append may join those taken already.
#[derive(Default)]
pub(crate) struct Filling {
    appends: usize,
    bytes: usize,
    ids: HashSet<AppendId>,
    keys: HashSet<String>,
    /// The categories of the events.
    categories: Vec<String>,
    /// The projections whose rows change, each with the name of its table.
    projections: Vec<(Arc<InlineReader>, String)>,
}

impl Filling {
    const APPENDS: usize = 512;
    const BYTES: usize = 1 << 20;

    /// Counts an append in, or all of a chain, if it fits. The first one always does.
    pub(crate) fn take(&mut self, chain: &[Encoded]) -> bool {
        // The function wants each id and each key once in a call: a repetition goes into the next one.
        let is_repetition = chain.iter().any(|encoded| {
            let key = encoded.append.key.as_ref();
            self.ids.contains(&encoded.append.id) || key.is_some_and(|key| self.keys.contains(&key.key))
        });
        let bytes: usize = chain.iter().map(|encoded| encoded.bytes).sum();
        let is_full = self.appends + chain.len() > Self::APPENDS || self.bytes + bytes > Self::BYTES;
        if self.appends > 0 && (is_repetition || is_full || !chain.iter().all(|encoded| self.has_the_rows(encoded))) {
            return false;
        }
        for encoded in chain {
            self.note_rows(encoded);
        }
        self.appends += chain.len();
        self.bytes += bytes;
        self.ids.extend(chain.iter().map(|encoded| encoded.append.id));
        let keys = chain.iter().filter_map(|encoded| encoded.append.key.as_ref());
        self.keys.extend(keys.map(|key| key.key.clone()));
        true
    }

    /// Returns whether no projection would miss an event: each takes in all of its categories, of this append and of those before.
    fn has_the_rows(&self, encoded: &Encoded) -> bool {
        let is_taken_in = self.projections.iter().all(|(projection, table)| {
            let mut own = encoded.rows.iter();
            match own.find(|rows| rows.projection.reader == projection.reader) {
                Some(own) => own.projection == *projection && own.table.name() == *table,
                None => !projection.takes_in(&encoded.append),
            }
        });
        is_taken_in
            && encoded.rows.iter().all(|rows| {
                let mut categories = rows.projection.categories.iter();
                let is_known = |(known, _): &(Arc<InlineReader>, _)| *known == rows.projection;
                self.projections.iter().any(is_known) || !categories.any(|category| self.categories.contains(category))
            })
    }

    fn note_rows(&mut self, encoded: &Encoded) {
        for part in encoded.append.streams.iter().filter(|part| !part.events.is_empty()) {
            let category = part.stream.category();
            if !self.categories.iter().any(|known| known == category) {
                self.categories.push(category.to_owned());
            }
        }
        for rows in &encoded.rows {
            if !self.projections.iter().any(|(known, _)| *known == rows.projection) {
                self.projections.push((Arc::clone(&rows.projection), rows.table.name()));
            }
        }
    }
}

/// The server's answer about an append.
pub(crate) enum Answer {
    Appended(Appended),
    /// It, or one with the same key, is stored since before under this id.
    Repeated(AppendId),
    /// The key is stored since before with another fingerprint.
    KeyMismatch,
    /// The stream of this entry is at another version.
    Conflict {
        entry: usize,
        actual: Version,
    },
    /// The append before it in its chain was not stored now.
    Untried,
}

/// The statement that sends a batch. `durably`: its commit is flushed even where `synchronous_commit` was turned off under the running
/// store, which a session follows at once.
///
/// `with_rows`: nothing is done unless rows were locked in this transaction, so that no append goes without them should its BEGIN fail.
pub(crate) fn statement(schema: &Schema, durably: bool, with_rows: bool) -> String {
    const CALL: &str = "SELECT outcome, append_id, version, position, recorded_at \
         FROM \"es\".append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    const DURABLY: &str = "CASE current_setting('synchronous_commit') \
         WHEN 'off' THEN set_config('synchronous_commit', 'on', true) = 'on' ELSE true END";
    const WITH_ROWS: &str = "current_setting('es.rows_are_locked', true) = 'true'";
    let mut conditions = Vec::new();
    if durably {
        conditions.push(DURABLY);
    }
    if with_rows {
        conditions.push(WITH_ROWS);
    }
    let condition = if conditions.is_empty() { "" } else { " WHERE " };
    schema.render(CALL) + condition + &conditions.join(" AND ")
}

/// Sends the chains as one call, and gives the answers to each, up to the first append that was not stored now. Without a time, the
/// server's counts.
pub(crate) async fn send(
    client: &impl GenericClient,
    statement: &Statement,
    batch: &[&[Encoded]],
    by_clock: Option<Timestamp>,
) -> Result<Vec<Vec<Answer>>, Problem> {
    let rows = Columns::of(batch).call(client, statement, by_clock).await?;
    let appends = batch.iter().copied().flatten();
    let entries: usize = appends.map(|encoded| encoded.append.streams.len()).sum();
    if rows.len() != entries {
        return Err(Problem::Damaged(format!(
            "append() answered {} rows to {entries} entries",
            rows.len()
        )));
    }
    let mut rest = &rows[..];
    let mut answer_next = |encoded: &Encoded| {
        let (own, others) = rest.split_at(encoded.append.streams.len());
        rest = others;
        answer(&encoded.append, own)
    };
    batch
        .iter()
        .map(|chain| {
            let answers: Vec<Answer> = chain.iter().map(&mut answer_next).collect::<Result<_, _>>()?;
            Ok(answers
                .into_iter()
                .take_while(|answer| !matches!(answer, Answer::Untried))
                .collect())
        })
        .collect()
}

fn answer(append: &Append, rows: &[Row]) -> Result<Answer, Problem> {
    let mut streams = Vec::with_capacity(rows.len());
    for (entry, (part, row)) in append.streams.iter().zip(rows).enumerate() {
        let version = Version(row.number(2)?);
        match row.read(0)? {
            "appended" => streams.push(StreamAppended {
                stream: part.stream.clone(),
                events: part.events.len(),
                version,
                position: Position(row.number(3)?),
            }),
            "repeated" => return Ok(Answer::Repeated(AppendId(row.read(1)?))),
            "mismatched" => return Ok(Answer::KeyMismatch),
            "conflict" => return Ok(Answer::Conflict { entry, actual: version }),
            "untried" => return Ok(Answer::Untried),
            "refused" => {}
            other => return Err(Problem::Damaged(format!("append() answered `{other}`"))),
        }
    }
    let Some(row) = rows.first() else {
        return Err(Problem::Damaged("an append without streams was sent".to_owned()));
    };
    Ok(Answer::Appended(Appended {
        id: append.id,
        repeated: false,
        recorded_at: row.read::<Time>(4)?.0,
        streams,
    }))
}

/// The arguments of the function: one array for each.
#[derive(Default)]
struct Columns<'a> {
    categories: Vec<&'a str>,
    stream_ids: Vec<&'a str>,
    expectations: Vec<&'static str>,
    names: Vec<&'a str>,
    payloads: Vec<Json<'a>>,
    expected: Vec<Option<i64>>,
    last_events: Vec<Option<Uuid>>,
    event_counts: Vec<i32>,
    entry_appends: Vec<i32>,
    event_ids: Vec<Uuid>,
    shape_versions: Vec<i32>,
    metadata: Vec<Json<'a>>,
    append_ids: Vec<Uuid>,
    keys: Vec<Option<&'a str>>,
    fingerprints: Vec<Option<Uuid>>,
    has_key: bool,
    chained: Vec<bool>,
    has_chain: bool,
}

impl<'a> Columns<'a> {
    fn of(batch: &[&'a [Encoded]]) -> Self {
        let mut columns = Self::default();
        let appends = batch.iter().flat_map(|chain| chain.iter().enumerate());
        for (number, (place, encoded)) in (1..).zip(appends) {
            columns.add(number, encoded, place > 0);
        }
        columns
    }

    fn add(&mut self, number: i32, encoded: &'a Encoded, is_chained: bool) {
        let append = &encoded.append;
        self.chained.push(is_chained);
        self.has_chain |= is_chained;
        self.append_ids.push(append.id.0);
        self.has_key |= append.key.is_some();
        self.keys.push(append.key.as_ref().map(|key| key.key.as_str()));
        self.fingerprints.push(append.key.as_ref().map(|key| key.fingerprint));
        for part in &append.streams {
            let (expectation, expected) = match part.expected {
                ExpectedVersion::Any => ("any", None),
                ExpectedVersion::NoStream => ("none", None),
                ExpectedVersion::Exists => ("exists", None),
                ExpectedVersion::Exact(version) => ("exact", Some(column(version.0))),
            };
            self.entry_appends.push(number);
            self.categories.push(part.stream.category());
            self.stream_ids.push(part.stream.id());
            self.expectations.push(expectation);
            self.expected.push(expected);
            self.last_events.push(part.last.map(|last| last.0));
            // Both fit: the client's limits and `check` see to that.
            self.event_counts
                .push(i32::try_from(part.events.len()).unwrap_or(i32::MAX));
        }
        for (event, metadata) in append.events().zip(&encoded.metadata) {
            self.event_ids.push(event.id.0);
            self.names.push(&event.name);
            self.shape_versions.push(event.shape_version.cast_signed());
            self.payloads.push(Json(&event.payload));
            self.metadata.push(Json(metadata.as_bytes()));
        }
    }

    async fn call(
        &self,
        client: &impl GenericClient,
        statement: &Statement,
        by_clock: Option<Timestamp>,
    ) -> Result<Vec<Row>, Problem> {
        let (keys, fingerprints) = (
            self.has_key.then_some(&self.keys),
            self.has_key.then_some(&self.fingerprints),
        );
        let chained = self.has_chain.then_some(&self.chained);
        let by_clock = by_clock.map(Time);
        let arguments: [&(dyn ToSql + Sync); 17] = [
            &self.categories,
            &self.stream_ids,
            &self.expectations,
            &self.names,
            &self.payloads,
            &self.expected,
            &self.event_counts,
            &self.entry_appends,
            &self.event_ids,
            &self.shape_versions,
            &self.metadata,
            &self.append_ids,
            &keys,
            &fingerprints,
            &chained,
            &by_clock,
            &self.last_events,
        ];
        Ok(client.query(statement, &arguments).await?)
    }
}
