//! Rows per second that a store takes from a projection, 1,000 rows a commit, beside the raw limit: the same rows in one upsert
//! that commits itself, without lease, checkpoint and the rest. `scripts/postgres run -- target/release/projection_rows`

use std::sync::Arc;
use std::time::{Duration, Instant};

use es_benches::per_second;
use es_postgres::PostgresStore;
use es_runtime::store::Append;
use es_runtime::store::{Advance, Commit, Lease, ProjectionStore, RowChange, RowTable};
use es_runtime::{EventId, ExpectedVersion, Metadata, NewEvent, Position, StreamId};
use es_sqlite::SqliteStore;
use futures_util::{SinkExt, pin_mut};
use rusqlite::Connection;
use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

/// Rows in a commit.
const ROWS: u64 = 1_000;
/// Commits in a round.
const COMMITS: u64 = 20;
/// Keys that are written to again and again.
const KEYS: u64 = 20_000;
const ROUNDS: usize = 3;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The keys of the rows.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Keys {
    New,
    Known,
}

/// The rows of the commit `number`: key and data.
fn rows(keys: Keys, number: u64) -> impl Iterator<Item = (String, String)> {
    (0..ROWS).map(move |row| {
        let row = number * ROWS + row;
        let key = match keys {
            Keys::New => format!("new-{:016x}", row.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            Keys::Known => format!("known-{:05}", row.wrapping_mul(7919) % KEYS),
        };
        let data = format!(
            r#"{{"owner":"owner {}","cents":{row},"currency":"EUR","opened":"2026-11-21T09:30:00Z","branch":"c-17"}}"#,
            row % 5_000
        );
        (key, data)
    })
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let sqlite = Arc::new(SqliteStore::open(directory.path().join("ours.db")).await?);
    let raw = Connection::open(directory.path().join("raw.db"))?;
    raw.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE plain (key TEXT PRIMARY KEY, data TEXT NOT NULL, position INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    )?;
    let mut ours = [
        Projection::new("plain", &[], &*sqlite).await?,
        Projection::new("indexed", &["owner", "cents"], &*sqlite).await?,
    ];
    for keys in [Keys::New, Keys::Known] {
        let mut figures = Figures::default();
        for round in 0..ROUNDS as u64 {
            let [plain, indexed] = &mut ours;
            figures.add("SQLite", plain.round(keys, round).await?);
            figures.add("SQLite, two indexes", indexed.round(keys, round).await?);
            figures.add("raw upsert", sqlite_upserts(&raw, keys, round)?);
        }
        figures.print(keys);
    }

    let Ok(server) = std::env::var("ES_TEST_DATABASE_URL") else {
        println!("without PostgreSQL: start with `scripts/postgres run --`");
        return Ok(());
    };
    let server: Config = server.parse()?;
    let name = format!("es_bench_{}", std::process::id());
    let admin = client(&server).await?;
    admin
        .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))
        .await?;
    let measured = postgres(server.clone().dbname(&*name)).await;
    admin
        .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await?;
    measured
}

async fn postgres(database: &Config) -> Result<(), Failure> {
    let store = PostgresStore::options()
        .apply_schema()
        .connect_with(database.clone())
        .await?;
    let raw = client(database).await?;
    for table in ["upserted", "copied"] {
        raw.batch_execute(&format!(
            "CREATE TABLE {table} (key text COLLATE \"C\" PRIMARY KEY, data json NOT NULL, position bigint NOT NULL)"
        ))
        .await?;
    }
    let mut plain = Projection::new("plain", &[], &store).await?;
    let mut indexed = Projection::new("indexed", &["owner", "cents"], &store).await?;
    for keys in [Keys::New, Keys::Known] {
        let mut figures = Figures::default();
        for round in 0..ROUNDS as u64 {
            figures.add("PostgreSQL", plain.round(keys, round).await?);
            figures.add("PostgreSQL, two indexes", indexed.round(keys, round).await?);
            figures.add("raw upsert", postgres_upserts(&raw, keys, round).await?);
            if keys == Keys::New {
                figures.add("COPY", postgres_copies(&raw, round).await?);
            }
        }
        figures.print(keys);
    }
    Ok(())
}

async fn client(config: &Config) -> Result<Client, Failure> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A projection at work on a store.
struct Projection<'s, S> {
    store: &'s S,
    table: RowTable,
    lease: Lease,
    at: Position,
}

impl<'s, S: ProjectionStore> Projection<'s, S> {
    async fn new(name: &'static str, indexes: &'static [&'static str], store: &'s S) -> Result<Self, Failure> {
        let table = RowTable {
            projection: name.into(),
            version: 1,
            indexes: indexes.iter().map(|field| (*field).into()).collect::<Vec<_>>().into(),
            beside: false,
        };
        store.create_table(&table).await?;
        let lease = store.acquire(name, "bench", Lease::LONGEST).await?;
        let lease = lease.ok_or("somebody else has the lease")?;
        // Each commit moves the checkpoint by one event.
        let events = (0..2 * ROUNDS as u64 * COMMITS).map(|_| NewEvent {
            id: EventId(Uuid::now_v7()),
            name: "counted".into(),
            shape_version: 1,
            payload: "{}".into(),
            metadata: Metadata::EMPTY,
        });
        let stream = StreamId::new("bench", name);
        store
            .append(Append::new(stream, ExpectedVersion::NoStream, events.collect()))
            .await?;
        Ok(Self {
            store,
            table,
            lease,
            at: Position::ZERO,
        })
    }

    async fn round(&mut self, keys: Keys, round: u64) -> Result<Duration, Failure> {
        let commits: Vec<Commit> = (0..COMMITS)
            .map(|number| self.commit(keys, round * COMMITS + number))
            .collect();
        let start = Instant::now();
        for commit in commits {
            self.store.commit(commit).await?;
        }
        Ok(start.elapsed())
    }

    fn commit(&mut self, keys: Keys, number: u64) -> Commit {
        let from = self.at;
        self.at = from.next();
        Commit {
            advance: Advance::new(&self.lease.name, &self.lease, from, self.at),
            table: self.table.clone(),
            rows: rows(keys, number)
                .map(|(key, data)| RowChange {
                    key,
                    data: Some(data.into()),
                    position: self.at,
                })
                .collect(),
        }
    }
}

fn sqlite_upserts(raw: &Connection, keys: Keys, round: u64) -> Result<Duration, Failure> {
    let commits: Vec<Vec<_>> = (0..COMMITS)
        .map(|number| rows(keys, round * COMMITS + number).collect())
        .collect();
    let mut upsert = raw.prepare(
        "INSERT INTO plain (key, data, position) VALUES (?1, ?2, 1)
         ON CONFLICT (key) DO UPDATE SET data = excluded.data, position = excluded.position",
    )?;
    let start = Instant::now();
    for commit in commits {
        raw.execute_batch("BEGIN IMMEDIATE")?;
        for row in commit {
            upsert.execute(row)?;
        }
        raw.execute_batch("COMMIT")?;
    }
    Ok(start.elapsed())
}

async fn postgres_upserts(raw: &Client, keys: Keys, round: u64) -> Result<Duration, Failure> {
    let upsert = raw
        .prepare(
            "INSERT INTO upserted (key, data, position) SELECT key, data::json, 1 FROM unnest($1::text[], $2::text[]) AS u(key, data) \
             ON CONFLICT (key) DO UPDATE SET data = excluded.data, position = excluded.position",
        )
        .await?;
    let commits: Vec<(Vec<_>, Vec<_>)> = (0..COMMITS)
        .map(|number| rows(keys, round * COMMITS + number).unzip())
        .collect();
    let start = Instant::now();
    for (keys, data) in commits {
        raw.execute(&upsert, &[&keys, &data]).await?;
    }
    Ok(start.elapsed())
}

async fn postgres_copies(raw: &Client, round: u64) -> Result<Duration, Failure> {
    let commits: Vec<String> = (0..COMMITS)
        .map(|number| {
            let lines = rows(Keys::New, round * COMMITS + number).map(|(key, data)| format!("{key}\t{data}\t1\n"));
            lines.collect()
        })
        .collect();
    let start = Instant::now();
    for lines in commits {
        let sink = raw.copy_in("COPY copied FROM STDIN").await?;
        pin_mut!(sink);
        sink.send(bytes::Bytes::from(lines)).await?;
        sink.finish().await?;
    }
    Ok(start.elapsed())
}

/// The times of the contenders, of each in its order.
#[derive(Default)]
struct Figures(Vec<(&'static str, Vec<Duration>)>);

impl Figures {
    fn add(&mut self, name: &'static str, time: Duration) {
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            Some((_, times)) => times.push(time),
            None => self.0.push((name, vec![time])),
        }
    }

    /// The median of the rounds, and of the ratios to the raw upsert of the same round.
    fn print(&self, keys: Keys) {
        let raw = self
            .0
            .iter()
            .find(|(name, _)| *name == "raw upsert")
            .map_or(&[][..], |(_, times)| times);
        for (name, times) in &self.0 {
            let rate = median(
                times
                    .iter()
                    .map(|time| per_second(usize::try_from(COMMITS * ROWS).unwrap_or(usize::MAX), *time)),
            );
            let ratio = median(
                times
                    .iter()
                    .zip(raw)
                    .map(|(time, raw)| raw.as_secs_f64() / time.as_secs_f64()),
            );
            println!("{keys:?} keys: {name:<24} {rate:>9.0} rows/s, {ratio:.2} of the raw upsert");
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
