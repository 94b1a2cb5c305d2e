//! Appends per second on PostgreSQL, by the number of concurrent callers and of events in an append, beside what others do:
//! a transaction that reads the version and inserts row by row, and one bare statement that keeps no order; then reads,
//! beside a bare query. `scripts/postgres run -- cargo run --release -p es-benches --bin postgres`, which may be told what to measure
//! only: `1x1`, `32x10` and so on for callers and events, `live`, `loads`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use es_benches::per_second;
use es_postgres::PostgresStore;
use es_runtime::store::{Append, EventStore, ReadLog, ReadStream};
use es_runtime::{EventId, ExpectedVersion, Metadata, NewEvent, Position, StreamId, Version};
use futures_util::future::BoxFuture;
use futures_util::{SinkExt, TryStreamExt, pin_mut};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

const TIME: Duration = Duration::from_millis(1500);
const ROUNDS: usize = 3;
const PER_STREAM: u64 = 10;
const PAYLOAD: &str = r#"{"amount":1250,"currency":"EUR","channel":"counter","reference":"INV-2026-000123","note":"payment for the month of March","clerk":"c-17"}"#;
const METADATA: &str =
    r#"{"correlation_id":"01940b6e-5f3c-7000-8000-000000000000","actor":"user:42","entries":{"ip":"203.0.113.7"}}"#;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let server: Config = std::env::var("ES_TEST_DATABASE_URL")
        .map_err(|_| "set ES_TEST_DATABASE_URL, or start with `scripts/postgres run --`")?
        .parse()?;
    let name = format!("es_bench_{}", std::process::id());
    let admin = client(&server).await?;
    admin
        .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))
        .await?;
    let measured = measure(server.clone().dbname(&*name)).await;
    admin
        .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await?;
    measured
}

async fn measure(database: &Config) -> Result<(), Failure> {
    let setup = client(database).await?;
    setup
        .batch_execute(
            "CREATE TABLE flat (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stream text NOT NULL, version bigint NOT NULL, \
             event_id uuid NOT NULL, name text NOT NULL, payload jsonb NOT NULL, metadata jsonb NOT NULL, \
             recorded_at timestamptz NOT NULL DEFAULT now(), UNIQUE (stream, version))",
        )
        .await?;
    let store = PostgresStore::options()
        .apply_schema()
        .connect_with(database.clone())
        .await?;
    let only: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |part: &str| only.is_empty() || only.iter().any(|only| only == part);
    for (callers, events) in [(1, 1), (8, 1), (32, 1), (128, 1), (1, 10), (8, 10), (32, 10), (128, 10)] {
        if !is_wanted(&format!("{callers}x{events}")) {
            continue;
        }
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(Round {
                figures: [
                    closed_loop(ours(&store, callers, events)).await,
                    closed_loop(naive(database, callers, events).await?).await,
                    closed_loop(bare(database, callers, events).await?).await,
                ],
                copied: copy(&setup).await?,
            });
        }
        report(callers, events, rounds);
    }
    if is_wanted("live") {
        live(&store, database).await?;
    }
    if is_wanted("loads") {
        reads(&store, &setup).await?;
    }
    Ok(())
}

/// A subscriber in another store, as if in another process: what it costs the appends, and how soon it sees them.
async fn live(store: &PostgresStore, database: &Config) -> Result<(), Failure> {
    let other = PostgresStore::options().connect_with(database.clone()).await?;
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let alone = closed_loop(ours(store, 32, 1)).await;
        let subscriber = subscribe(&other).await?;
        let watched = closed_loop(ours(store, 32, 1)).await;
        subscriber.0.abort();
        ratios.push((watched.rate() / alone.rate(), alone.rate(), watched.rate()));
    }
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, alone, watched) = ratios[ROUNDS / 2];
    println!("32 callers: {alone:.0}/s, with a live subscriber {watched:.0}/s, ratio {ratio:.2}");

    let (task, seen) = subscribe(&other).await?;
    let mut answered = Vec::new();
    let mut turns = ours(store, 1, 1);
    for turn in 0..1_000 {
        turns[0](turn).await;
        answered.push((store.head().await?, Instant::now()));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    task.abort();
    let seen = seen.lock().expect("no panic").clone();
    let mut delays: Vec<Duration> = answered
        .iter()
        .filter_map(|(position, at)| Some(seen.get(position)?.saturating_duration_since(*at)))
        .collect();
    assert_eq!(delays.len(), answered.len(), "each is seen");
    delays.sort_unstable();
    println!(
        "seen behind the answer by: p50 {:?}, p99 {:?}",
        delays[delays.len() / 2],
        delays[delays.len() * 99 / 100]
    );
    Ok(())
}

type Seen = Arc<Mutex<HashMap<Position, Instant>>>;

/// Reads the log from its end on, and waits for a hint at its end.
async fn subscribe(store: &PostgresStore) -> Result<(JoinHandle<()>, Seen), Failure> {
    let seen = Seen::default();
    let (store, noted) = (store.clone(), Arc::clone(&seen));
    let mut wakes = store.wakes();
    let mut last = store.head().await?;
    let task = tokio::spawn(async move {
        loop {
            let mut events = store.read_log(ReadLog::new().from(last.next()));
            while let Some(event) = events.try_next().await.expect("the log is read") {
                last = event.position;
                noted.lock().expect("no panic").insert(last, Instant::now());
            }
            let _ = tokio::time::timeout(Duration::from_secs(1), wakes.beyond(last)).await;
        }
    });
    Ok((task, seen))
}

/// The calls of one contender in the time.
struct Figure {
    latencies: Vec<Duration>,
    time: Duration,
}

impl Figure {
    fn rate(&self) -> f64 {
        per_second(self.latencies.len(), self.time)
    }

    fn percentile(&self, percent: usize) -> u128 {
        self.latencies[(self.latencies.len() - 1) * percent / 100].as_micros()
    }
}

/// One turn of each contender, with the rows that `COPY` brings in a second.
struct Round {
    figures: [Figure; 3],
    copied: f64,
}

impl Round {
    fn ratio(&self, peer: usize) -> f64 {
        self.figures[0].rate() / self.figures[peer].rate()
    }
}

/// Each line is the round with the median ratio to the naive transaction.
fn report(callers: usize, events: usize, mut rounds: Vec<Round>) {
    rounds.sort_by(|a, b| a.ratio(1).total_cmp(&b.ratio(1)));
    let middle = &rounds[ROUNDS / 2];
    print!("{callers:>3} callers × {events:>2} events");
    for (name, figure) in ["es-postgres", "naive", "bare"].iter().zip(&middle.figures) {
        let (rate, p50, p99) = (figure.rate(), figure.percentile(50), figure.percentile(99));
        print!("   {name} {rate:>6.0}/s ({p50:>5}/{p99:>6} µs)");
    }
    let of_copy = middle.figures[0].rate() * i32::try_from(events).map_or(f64::MAX, f64::from) / middle.copied;
    println!(
        "   × naive {:.2}, × bare {:.2}, × COPY {of_copy:.2} of {:.0}/s",
        middle.ratio(1),
        middle.ratio(2),
        middle.copied
    );
}

type Call = Box<dyn FnMut(u64) -> BoxFuture<'static, ()> + Send>;

/// Each caller calls again as soon as it was answered.
async fn closed_loop(callers: Vec<Call>) -> Figure {
    let start = Instant::now();
    let tasks: Vec<_> = callers
        .into_iter()
        .map(|mut call| {
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while start.elapsed() < TIME {
                    let begun = Instant::now();
                    call(latencies.len() as u64).await;
                    latencies.push(begun.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.expect("the caller ends"));
    }
    let time = start.elapsed();
    latencies.sort_unstable();
    Figure { latencies, time }
}

/// A name that no other caller and no other round has.
fn own_name() -> String {
    Uuid::now_v7().to_string()
}

fn ours(store: &PostgresStore, callers: usize, events: usize) -> Vec<Call> {
    let metadata = Metadata::from_json(METADATA.as_bytes()).expect("it is metadata");
    (0..callers)
        .map(|_| {
            let (store, metadata, own) = (store.clone(), metadata.clone(), own_name());
            Box::new(move |turn: u64| {
                let stream = StreamId::new("account", format!("{own}-{}", turn / PER_STREAM));
                let version = turn % PER_STREAM * events as u64;
                let append = Append::new(
                    stream,
                    ExpectedVersion::Exact(Version(version)),
                    new_events(events, &metadata),
                );
                let store = store.clone();
                Box::pin(async move { drop(store.append(append).await.expect("the append is stored")) })
                    as BoxFuture<'static, ()>
            }) as Call
        })
        .collect()
}

fn new_events(count: usize, metadata: &Metadata) -> Vec<NewEvent> {
    let event = || NewEvent {
        id: EventId(Uuid::now_v7()),
        name: "deposited".into(),
        shape_version: 1,
        payload: Bytes::from_static(PAYLOAD.as_bytes()),
        metadata: metadata.clone(),
    };
    std::iter::repeat_with(event).take(count).collect()
}

/// The way of most stores: begin, ask for the version, insert each event, commit; one after another, on a connection for each caller.
async fn naive(database: &Config, callers: usize, events: usize) -> Result<Vec<Call>, Failure> {
    let mut calls: Vec<Call> = Vec::new();
    for _ in 0..callers {
        let client = client(database).await?;
        let version = client
            .prepare("SELECT coalesce(max(version), 0) FROM flat WHERE stream = $1")
            .await?;
        let insert = client
            .prepare("INSERT INTO flat (stream, version, event_id, name, payload, metadata) VALUES ($1, $2, $3, 'deposited', $4::text::jsonb, $5::text::jsonb)")
            .await?;
        let (shared, own) = (Arc::new((client, version, insert)), own_name());
        calls.push(Box::new(move |turn| {
            let (shared, stream) = (Arc::clone(&shared), format!("{own}-{}", turn / PER_STREAM));
            Box::pin(async move {
                let (client, version, insert) = &*shared;
                client.batch_execute("BEGIN").await.expect("a transaction");
                let last: i64 = client.query_one(version, &[&stream]).await.expect("a version").get(0);
                for number in 1..=i64::try_from(events).expect("few events") {
                    client
                        .execute(
                            insert,
                            &[&stream, &(last + number), &Uuid::now_v7(), &PAYLOAD, &METADATA],
                        )
                        .await
                        .expect("the row is inserted");
                }
                client.batch_execute("COMMIT").await.expect("a commit");
            })
        }));
    }
    Ok(calls)
}

/// The best single statement: no order, no check but the unique index; on a connection for each caller.
async fn bare(database: &Config, callers: usize, events: usize) -> Result<Vec<Call>, Failure> {
    let mut calls: Vec<Call> = Vec::new();
    for _ in 0..callers {
        let client = client(database).await?;
        let insert = client
            .prepare(
                "INSERT INTO flat (stream, version, event_id, name, payload, metadata) \
                 SELECT $1, v, i, 'deposited', p::jsonb, m::jsonb FROM unnest($2::bigint[], $3::uuid[], $4::text[], $5::text[]) AS e(v, i, p, m)",
            )
            .await?;
        let (shared, own) = (Arc::new((client, insert)), own_name());
        calls.push(Box::new(move |turn| {
            let (shared, stream) = (Arc::clone(&shared), format!("{own}-{}", turn / PER_STREAM));
            Box::pin(async move {
                let (client, insert) = &*shared;
                let first = i64::try_from(turn % PER_STREAM * events as u64).expect("a small number");
                let versions: Vec<i64> = (1..=i64::try_from(events).expect("few events"))
                    .map(|number| first + number)
                    .collect();
                let ids: Vec<Uuid> = std::iter::repeat_with(Uuid::now_v7).take(events).collect();
                let (payloads, metadata) = (vec![PAYLOAD; events], vec![METADATA; events]);
                client
                    .execute(insert, &[&stream, &versions, &ids, &payloads, &metadata])
                    .await
                    .expect("the rows are inserted");
            })
        }));
    }
    Ok(calls)
}

/// The rate at which `COPY` brings in the same rows, in one transaction.
async fn copy(client: &Client) -> Result<f64, Failure> {
    const ROWS: usize = 50_000;
    let stream = own_name();
    let start = Instant::now();
    let sink = client
        .copy_in("COPY flat (stream, version, event_id, name, payload, metadata) FROM STDIN")
        .await?;
    pin_mut!(sink);
    for block in 0..ROWS / 1000 {
        let lines: Vec<String> = (1..=1000)
            .map(|row| {
                let version = block * 1000 + row;
                format!(
                    "{stream}\t{version}\t{}\tdeposited\t{PAYLOAD}\t{METADATA}\n",
                    Uuid::now_v7()
                )
            })
            .collect();
        sink.send(Bytes::from(lines.concat())).await?;
    }
    sink.finish().await?;
    Ok(per_second(ROWS, start.elapsed()))
}

/// Loads of streams of several lengths, beside a bare query for the columns that a fold needs; and the whole log.
async fn reads(store: &PostgresStore, client: &Client) -> Result<(), Failure> {
    let mut streams = Vec::new();
    for (length, loads) in [(10_usize, 2_000_usize), (1_000, 100), (100_000, 3)] {
        let stream = StreamId::new("account", own_name());
        let mut version = 0;
        while version < length {
            let count = (length - version).min(1_000);
            let append = Append::new(
                stream.clone(),
                ExpectedVersion::Exact(Version(version as u64)),
                new_events(count, &Metadata::EMPTY),
            );
            store.append(append).await?;
            version += count;
        }
        streams.push((stream, length, loads));
    }
    // Else the server does so meanwhile, in the background.
    client.batch_execute("VACUUM ANALYZE").await?;
    client.batch_execute("CHECKPOINT").await?;
    for (stream, length, loads) in streams {
        let statement = client
            .prepare(
                "SELECT version, name, payload::text FROM es.recorded_events \
                 WHERE stream = (SELECT id FROM es.streams WHERE category = $1 AND stream_id = $2) ORDER BY version",
            )
            .await?;
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let start = Instant::now();
            for _ in 0..loads {
                let events: usize = store
                    .load_stream(ReadStream::new(stream.clone()))
                    .try_fold(0, async |n, event| {
                        assert!(serde_json_typed(&event.payload), "it is a deposit");
                        Ok(n + 1)
                    })
                    .await?;
                assert_eq!(events, length);
            }
            let ours = start.elapsed();
            let start = Instant::now();
            for _ in 0..loads {
                let rows = client.query_raw(&statement, [&stream.category(), &stream.id()]).await?;
                pin_mut!(rows);
                let mut count = 0;
                while let Some(row) = rows.try_next().await? {
                    let (_, _): (i64, &str) = (row.get(0), row.get(1));
                    assert!(serde_json_typed(row.get::<_, &str>(2).as_bytes()), "it is a deposit");
                    count += 1;
                }
                assert_eq!(count, length);
            }
            let bare = start.elapsed();
            ratios.push((bare.as_secs_f64() / ours.as_secs_f64(), ours, bare));
        }
        ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (ratio, ours, bare) = ratios[ROUNDS / 2];
        println!(
            "load of {length:>6} events: es-postgres {:>8.0}/s ({:?} a load), bare lean query {:>8.0}/s, ratio {ratio:.2}",
            per_second(length * loads, ours),
            ours / u32::try_from(loads)?,
            per_second(length * loads, bare),
        );
    }
    let start = Instant::now();
    let events = store
        .read_log(ReadLog::new())
        .try_fold(0_usize, async |n, _| Ok(n + 1))
        .await?;
    println!(
        "the whole log, {events} events: {:.0}/s",
        per_second(events, start.elapsed())
    );
    Ok(())
}

/// Decodes the payload into a type.
fn serde_json_typed(payload: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Deposit {
        amount: u64,
        currency: String,
        channel: String,
        reference: String,
        note: String,
        clerk: String,
    }
    serde_json::from_slice::<Deposit>(payload).is_ok_and(|deposit| {
        let texts = [
            deposit.currency,
            deposit.channel,
            deposit.reference,
            deposit.note,
            deposit.clerk,
        ];
        deposit.amount > 0 && texts.iter().all(|text| !text.is_empty())
    })
}

async fn client(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
