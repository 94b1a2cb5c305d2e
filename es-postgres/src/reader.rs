use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{ClientWrapper, Pool};
use es_runtime::store::{Append, Appended, EventKind, StoredKey, StreamAppended};
use es_runtime::{AppendId, Position, RecordedEvent, StoredEvent, StreamId, Timestamp, Version};
use futures_util::{TryStreamExt, pin_mut};
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::error::Problem;
use crate::names::Names;
use crate::pages::BYTES;
use crate::pooled::Pooled;
use crate::rows::{Cells, Time, event, stored_event, stream_number};
use crate::sql::Sql;
use crate::tls::Tls;

/// Reads through the pool.
pub(crate) struct Reader {
    pub(crate) pool: Pool,
    /// For what is cancelled.
    pub(crate) tls: Tls,
    pub(crate) sql: Sql,
    pub(crate) names: Names,
    /// The longest time that the server may take to answer.
    pub(crate) patience: Duration,
    pub(crate) closed: AtomicBool,
    /// The usual size of events.
    pub(crate) usual: Usual,
    pub(crate) named: Mutex<Option<Named>>,
}

/// The progress of the check that streams with events have names.
#[derive(Clone, Copy)]
pub(crate) struct Named {
    /// The number of the stream up to which it was looked last; 0 to begin again.
    up_to: i64,
    at: Instant,
    took: Duration,
}

impl Named {
    /// The number of streams checked at first, when nothing is known, and later.
    const FIRST: i64 = 1_000_000;
    const LATER: i64 = 10_000;
    /// It is looked again after so many times of what it took.
    const SELDOM: u32 = 10;
}

/// The number of bytes of an event, as far as the last pages show.
#[derive(Default)]
pub(crate) struct Usual(AtomicUsize);

impl Usual {
    /// None as long as nothing was read.
    pub(crate) fn get(&self) -> Option<usize> {
        Some(self.0.load(Ordering::Relaxed)).filter(|&bytes| bytes > 0)
    }

    /// Large events are taken for usual at once, and forgotten by and by: a page of too few costs a round trip, one of too many
    /// all that the server sends in vain.
    fn learn(&self, bytes: usize) {
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(bytes.max(before - before / 8), Ordering::Relaxed);
    }
}

type Arguments<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Reader {
    pub(crate) async fn client(&self) -> Result<Pooled<'_>, Problem> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Problem::Closed);
        }
        Ok(Pooled::new(self.pool.get().await?, &self.tls))
    }

    /// Awaits the server's answer within `patience`.
    pub(crate) async fn in_time<T>(&self, patience: Duration, answer: impl Future<Output = T>) -> Result<T, Problem> {
        timeout(patience, answer).await.map_err(|_| {
            let waited = patience.as_secs_f32();
            Problem::Silent(format!("the server did not answer within {waited} s"))
        })
    }

    /// Gives the connections back that are not lent out. Later calls are refused. A pool that is not the store's own goes on.
    pub(crate) fn close(&self, owns_pool: bool) {
        self.closed.store(true, Ordering::Release);
        if owns_pool {
            self.pool.close();
        }
    }

    /// All rows of a statement that gives few. A connection that had been lost in the pool is replaced once.
    pub(crate) async fn rows(&self, sql: &str, arguments: Arguments<'_>) -> Result<Vec<Row>, Problem> {
        match self.rows_once(sql, arguments).await {
            Err(problem) if problem.is_disconnect() => self.rows_once(sql, arguments).await,
            result => result,
        }
    }

    async fn rows_once(&self, sql: &str, arguments: Arguments<'_>) -> Result<Vec<Row>, Problem> {
        let client = self.client().await?;
        let rows = self.in_time(self.patience, rows(&client, sql, arguments)).await?;
        client.give_back();
        rows
    }

    /// Runs a statement that returns the outcome of an append for each stream.
    pub(crate) async fn appended(&self, sql: &str, id: AppendId) -> Result<Option<Appended>, Problem> {
        let rows = self.rows(sql, &[&id.0]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        Ok(Some(Appended {
            id,
            repeated: true,
            recorded_at: first.read::<Time>(5)?.0,
            streams: rows.iter().map(stream_appended).collect::<Result<_, _>>()?,
        }))
    }

    /// Returns whether the append stored under this id is `append`. `stored` is what was stored.
    pub(crate) async fn is_same(&self, append: &Append, stored: &Appended) -> Result<bool, Problem> {
        let same_streams = stored.streams.len() == append.streams.len()
            && stored
                .streams
                .iter()
                .zip(&append.streams)
                .all(|(stored, given)| stored.stream == given.stream && stored.events == given.events.len());
        let key = self.key_of(append.id).await?;
        if !same_streams || !StoredKey::is_same(key.as_ref(), append.key.as_ref()) {
            return Ok(false);
        }
        let rows = self.rows(&self.sql.events_of, &[&append.id.0]).await?;
        for (row, given) in rows.iter().zip(append.events()) {
            // The name of the stream was compared above.
            let stored = event(row, StreamId::new("", ""))?;
            let same = stored.id == given.id
                && stored.name == given.name
                && stored.shape_version == given.shape_version
                && stored.payload == given.payload
                && stored.metadata == given.metadata;
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The key that an append was stored with, or what is left of it.
    async fn key_of(&self, append: AppendId) -> Result<Option<StoredKey>, Problem> {
        let rows = self.rows(&self.sql.key_of, &[&append.0]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(StoredKey {
            key: row.read(0)?,
            fingerprint: row.read(1)?,
        }))
    }

    /// Checks that no stream has lost its name, when one was not found, which may be it. A few at a time, and now and then.
    pub(crate) async fn check_names(&self) -> Result<(), Problem> {
        let named = *self.named();
        if named.is_some_and(|named| named.at.elapsed() < named.took * Named::SELDOM) {
            return Ok(());
        }
        let at = Instant::now();
        let (after, limit) = named.map_or((0, Named::FIRST), |named| (named.up_to, Named::LATER));
        let rows = self.rows(&self.sql.nameless, &[&after, &limit]).await?;
        let (last, count): (Option<i64>, i64) = (rows[0].try_get(0)?, rows[0].try_get(1)?);
        if let Some(nameless) = rows[0].try_get::<_, Option<i64>>(2)? {
            return Err(Problem::Damaged(format!(
                "stream number {nameless} has events, but no name, so that nobody can say which stream is not there"
            )));
        }
        *self.named() = Some(Named {
            up_to: last.filter(|_| count == limit).unwrap_or(0),
            at,
            took: at.elapsed(),
        });
        Ok(())
    }

    fn named(&self) -> MutexGuard<'_, Option<Named>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fingerprint and the append that are stored under a key.
    pub(crate) async fn find_key(&self, key: &str) -> Result<Option<(Uuid, AppendId)>, Problem> {
        let rows = self.rows(&self.sql.find_key, &[&key]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some((row.read(0)?, AppendId(row.read(1)?))))
    }

    /// Forgets the keys that were recorded before this time, in the order of the keys. Returns how many.
    pub(crate) async fn forget_keys(&self, before: Timestamp) -> Result<u64, Problem> {
        const AT_ONCE: i64 = 10_000;
        let (mut last, mut all) = (String::new(), 0);
        loop {
            let rows = self
                .rows(&self.sql.forget_keys, &[&Time(before), &last, &AT_ONCE])
                .await?;
            all += rows[0].number(1)?;
            match rows[0].read::<Option<String>>(0)? {
                Some(next) => last = next,
                None => return Ok(all),
            }
        }
    }

    /// Every kind of event that is stored.
    pub(crate) async fn stored_events(&self) -> Result<Vec<EventKind>, Problem> {
        let rows = self.rows(&self.sql.kinds, &[]).await?;
        let kind = |row: &Row| {
            let shape_version: i32 = row.read(2)?;
            Ok(EventKind {
                category: row.read(0)?,
                name: row.read(1)?,
                shape_version: shape_version.cast_unsigned(),
            })
        };
        let mut kinds = rows.iter().map(kind).collect::<Result<Vec<_>, Problem>>()?;
        // Not by the server, whose integers are signed.
        kinds.sort_unstable();
        Ok(kinds)
    }

    /// Counts the events of this kind.
    pub(crate) async fn count_events(&self, kind: &EventKind) -> Result<u64, Problem> {
        let version = kind.shape_version.cast_signed();
        let rows = self
            .unhurried(&self.sql.count, &[&kind.category, &kind.name, &version])
            .await?;
        rows[0].number(0)
    }

    /// All rows of a statement that takes as long as it takes: it reads the whole log.
    async fn unhurried(&self, sql: &str, arguments: Arguments<'_>) -> Result<Vec<Row>, Problem> {
        let client = self.client().await?;
        let rows = rows(&client, sql, arguments).await;
        client.give_back();
        rows
    }

    /// A page of events: as many as the statement gives, which are at most `rows`, unless they come to more than [`BYTES`].
    pub(crate) async fn page<E: Paged>(
        &self,
        sql: &str,
        arguments: Arguments<'_>,
        rows: u64,
        stream: Option<&StreamId>,
    ) -> Result<Page<E>, Problem> {
        match self.page_once(sql, arguments, rows, stream).await {
            Err(problem) if problem.is_disconnect() => self.page_once(sql, arguments, rows, stream).await,
            result => result,
        }
    }

    async fn page_once<E: Paged>(
        &self,
        sql: &str,
        arguments: Arguments<'_>,
        rows: u64,
        stream: Option<&StreamId>,
    ) -> Result<Page<E>, Problem> {
        let mut client = self.client().await?;
        let taken = self.in_time(self.patience, take::<E>(&client, sql, arguments));
        let Taken {
            rows: taken,
            size,
            is_cut,
        } = taken.await??;
        if let Some(bytes) = size.checked_div(taken.len()) {
            self.usual.learn(bytes);
            let to_come = (rows - taken.len() as u64).saturating_mul(bytes as u64);
            if is_cut && to_come > 4 * BYTES as u64 {
                // The server would send all of it before it hears the next question.
                drop(client);
                client = self.client().await?;
            }
        }
        let events = self.in_time(self.patience, E::events(self, &client, taken, stream));
        let events = events.await??;
        client.give_back();
        Ok(Page { events, size, is_cut })
    }
}

/// The rows of a page.
struct Taken<E: Paged> {
    rows: Vec<E::Taken>,
    size: usize,
    is_cut: bool,
}

/// Takes as many rows as the statement gives, unless they come to more than [`BYTES`].
async fn take<E: Paged>(client: &ClientWrapper, sql: &str, arguments: Arguments<'_>) -> Result<Taken<E>, Problem> {
    let statement = client.prepare_cached(sql).await?;
    let (mut rows, mut size, mut is_cut) = (Vec::new(), 0, false);
    let sent = Client::query_raw(client, &statement, arguments.iter().copied()).await?;
    // Dropped at the end, or what is not taken of it would hold up the answer to the next question.
    pin_mut!(sent);
    while let Some(row) = sent.try_next().await? {
        size += row.raw_size_bytes();
        rows.push(E::take(row)?);
        if size >= BYTES {
            is_cut = true;
            break;
        }
    }
    Ok(Taken { rows, size, is_cut })
}

/// A query that can be read page by page.
pub(crate) trait Paged: Sized + Send + 'static {
    /// The data kept from a row until the whole page has arrived.
    type Taken: Send;

    fn version(&self) -> Version;

    fn take(row: Row) -> Result<Self::Taken, Problem>;

    /// The events of these rows, which are of this stream, if one is named.
    fn events(
        reader: &Reader,
        client: &ClientWrapper,
        taken: Vec<Self::Taken>,
        stream: Option<&StreamId>,
    ) -> impl Future<Output = Result<Vec<Self>, Problem>> + Send;
}

impl Paged for StoredEvent {
    type Taken = Self;

    fn version(&self) -> Version {
        self.version
    }

    fn take(row: Row) -> Result<Self, Problem> {
        stored_event(&row)
    }

    async fn events(
        _: &Reader,
        _: &ClientWrapper,
        taken: Vec<Self>,
        _: Option<&StreamId>,
    ) -> Result<Vec<Self>, Problem> {
        Ok(taken)
    }
}

impl Paged for RecordedEvent {
    /// The names of the streams are looked up for all rows at once.
    type Taken = Row;

    fn version(&self) -> Version {
        self.version
    }

    fn take(row: Row) -> Result<Row, Problem> {
        Ok(row)
    }

    async fn events(
        reader: &Reader,
        client: &ClientWrapper,
        taken: Vec<Row>,
        stream: Option<&StreamId>,
    ) -> Result<Vec<Self>, Problem> {
        if let Some(stream) = stream {
            return taken.iter().map(|row| event(row, stream.clone())).collect();
        }
        let numbers = taken.iter().map(stream_number).collect::<Result<Vec<_>, _>>()?;
        let names = reader.names.resolve(client, numbers.clone()).await?;
        taken
            .iter()
            .zip(numbers)
            .map(|(row, number)| match names.get(&number) {
                Some(name) => event(row, name.clone()),
                None => Err(Problem::Damaged(format!(
                    "stream number {number} has events, but no name"
                ))),
            })
            .collect()
    }
}

/// Some events that follow one another.
pub(crate) struct Page<E> {
    pub(crate) events: Vec<E>,
    /// Their bytes.
    pub(crate) size: usize,
    /// True if the answer had more rows.
    pub(crate) is_cut: bool,
}

impl<E> Page<E> {
    /// Returns whether there may be more after this page, for which `limit` were requested.
    pub(crate) fn is_full(&self, limit: u64) -> bool {
        self.is_cut || self.events.len() as u64 == limit
    }
}

async fn rows(client: &ClientWrapper, sql: &str, arguments: Arguments<'_>) -> Result<Vec<Row>, Problem> {
    let statement = client.prepare_cached(sql).await?;
    Ok(Client::query(client, &statement, arguments).await?)
}

fn stream_appended(row: &Row) -> Result<StreamAppended, Problem> {
    let events: i32 = row.read(2)?;
    Ok(StreamAppended {
        stream: StreamId::new(row.read::<String>(0)?, row.read::<&str>(1)?),
        events: usize::try_from(events).unwrap_or_default(),
        version: Version(row.number(3)?),
        position: Position(row.number(4)?),
    })
}
