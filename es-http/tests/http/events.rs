//! Events in pages, and as they come.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use es_runtime::prelude::*;
use es_tests::bank::{Account, Deposit, account_with};
use es_tests::scaled;
use es_tests::waits::LONG;
use futures_util::StreamExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::ServiceExt as _;

use super::client::{Answer, Server, joined};
use super::counted::Counted;

async fn bank() -> (Runtime, Router) {
    let runtime = Runtime::builder(MemoryStore::new()).start().await.unwrap();
    let app = es_http::router(&runtime).events::<Account>("/accounts").build();
    (runtime, app)
}

async fn deposit(runtime: &Runtime, id: Id<Account>, times: u64) {
    for _ in 0..times {
        runtime.execute(id, Deposit { amount: 1 }).await.unwrap();
    }
}

/// The versions of the events in this text, which each end with an empty line.
fn versions(text: &str) -> Vec<u64> {
    let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
    let ids = whole.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.map(|id| id.parse().unwrap()).collect()
}

#[tokio::test]
async fn pages_of_events_are_the_stream() {
    let (runtime, app) = bank().await;
    let server = Server::start(app).await;
    let id = account_with(&runtime, 0).await;
    deposit(&runtime, id, 24).await;
    for limit in [1, 7, 24, 25, 26] {
        let (mut query, mut all) = (format!("?limit={limit}"), Vec::new());
        loop {
            let page = server.get(&format!("/accounts/{id}/events{query}"), &[]).await;
            let json = page.json();
            let events = json["events"].as_array().unwrap().clone();
            assert!(events.len() <= limit);
            assert_eq!(
                page.header("es-position").unwrap().parse::<u64>().ok(),
                events.last().unwrap()["position"].as_u64()
            );
            all.extend(events);
            let Some(next) = json["next"].as_str() else { break };
            next.clone_into(&mut query);
        }
        let found: Vec<_> = all.iter().map(|event| event["version"].as_u64().unwrap()).collect();
        assert_eq!(found, (1..=25).collect::<Vec<_>>(), "limit {limit}");
        assert_eq!(
            (&all[0]["name"], &all[0]["data"]["owner"]),
            (&"opened".into(), &"Alice".into())
        );
        assert!(all[0].get("metadata").is_none());
    }
    let beyond = server.get(&format!("/accounts/{id}/events?from=26"), &[]).await;
    assert_eq!((beyond.status, &*beyond.body), (200, r#"{"events":[],"next":null}"#));
    let nobody = format!("/accounts/{}/events", Id::<Account>::new());
    for accept in ["application/json", "text/event-stream"] {
        assert_eq!(server.get(&nobody, &[("accept", accept)]).await.problem(), "not-found");
        assert_eq!(
            server.get("/accounts/x/events", &[("accept", accept)]).await.problem(),
            "invalid"
        );
    }
    for query in [
        "from=0",
        "limit=0",
        "limit=1001",
        "from=x",
        "form=1",
        "from=9223372036854775808",
    ] {
        assert_eq!(
            server.get(&format!("/accounts/{id}/events?{query}"), &[]).await.status,
            400,
            "{query}"
        );
    }
    let headers = [("accept", "text/event-stream"), ("last-event-id", "x")];
    assert_eq!(
        server.get(&format!("/accounts/{id}/events"), &headers).await.status,
        400
    );
}

/// Reads whole events until there are so many.
async fn read(stream: &mut TcpStream, count: usize) -> Vec<u64> {
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer);
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let found = versions(&joined(body));
        if found.len() >= count {
            return found;
        }
        let mut more = [0; 200];
        let read = timeout(LONG, stream.read(&mut more))
            .await
            .expect("the events come")
            .unwrap();
        assert!(read > 0, "cut by the server: {answer:?}");
        answer.extend_from_slice(&more[..read]);
    }
}

/// Whatever happens between two connections, each event comes once.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_cut_at_every_event_gets_each_once() {
    let (runtime, app) = bank().await;
    let server = Server::start(app).await;
    let id = account_with(&runtime, 0).await;
    let events = scaled(150, 5_000);
    let writer = tokio::spawn({
        let runtime = runtime.clone();
        async move { deposit(&runtime, id, events - 1).await }
    });
    let request = format!("GET /accounts/{id}/events");
    let (mut all, mut last) = (Vec::new(), "0".to_owned());
    while all.len() < usize::try_from(events).unwrap() {
        let headers = [("accept", "text/event-stream"), ("last-event-id", &*last)];
        let mut stream = server.begin(&request, &headers, "").await;
        all.extend(read(&mut stream, 1).await);
        last = all.last().unwrap().to_string();
    }
    assert_eq!(all, (1..=events).collect::<Vec<_>>());
    writer.await.unwrap();
}

/// The ids and the names of the events in this text.
pub(crate) fn names(text: &str) -> Vec<&str> {
    let lines = text.lines();
    lines
        .filter(|line| line.starts_with("id: ") || line.starts_with("event: "))
        .collect()
}

/// The events of a reader within the process, whose pace the test decides.
pub(crate) struct Reader(axum::body::BodyDataStream, String);

impl Reader {
    async fn start(app: &Router, id: Id<Account>) -> Self {
        Self::of(app, &format!("/accounts/{id}/events")).await
    }

    pub(crate) async fn of(app: &Router, path: &str) -> Self {
        let request = Request::get(path).header("accept", "text/event-stream");
        let answer = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self(answer.into_body().into_data_stream(), String::new())
    }

    /// The text that was read.
    pub(crate) fn text(&self) -> &str {
        &self.1
    }

    /// Reads until there are so many events, and gives their versions.
    pub(crate) async fn until(&mut self, count: usize) -> Vec<u64> {
        while versions(&self.1).len() < count {
            let bytes = timeout(LONG, self.0.next())
                .await
                .expect("the events come")
                .expect("it goes on")
                .unwrap();
            self.1 += std::str::from_utf8(&bytes).unwrap();
        }
        versions(&self.1)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_readers_cost_one_read_of_the_log() {
    let counted = Counted::default();
    let runtime = Runtime::builder(counted.clone()).start().await.unwrap();
    let app = es_http::router(&runtime).events::<Account>("/accounts").build();
    let id = account_with(&runtime, 0).await;
    let (many, events) = (scaled(200, 10_000), 20_usize);
    let mut readers = Vec::new();
    for _ in 0..many {
        let mut reader = Reader::start(&app, id).await;
        reader.until(1).await;
        readers.push(reader);
    }
    // Each of them waits now: one more reads the store no more.
    let waits = |reader: &mut Reader| {
        let next = std::pin::pin!(reader.0.next());
        assert!(futures_util::FutureExt::now_or_never(next).is_none());
    };
    readers.iter_mut().for_each(waits);
    let streams = counted.streams();
    let log = counted.logged();
    deposit(&runtime, id, events as u64).await;
    let by_commands = counted.streams() - streams;
    for reader in &mut readers {
        assert_eq!(
            reader.until(1 + events).await,
            (1..=1 + events as u64).collect::<Vec<_>>()
        );
    }
    assert_eq!(
        counted.logged() - log,
        events as u64,
        "each event is read once from the log"
    );
    assert_eq!(
        counted.streams() - streams,
        by_commands,
        "and by nobody from its stream"
    );
}

/// One who does not read holds up neither the others nor the memory: what he missed is read again.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_all_and_holds_up_nobody() {
    let (runtime, app) = bank().await;
    let (id, other) = (account_with(&runtime, 0).await, account_with(&runtime, 0).await);
    let mut slow = Reader::start(&app, id).await;
    slow.until(1).await;
    let mut fast = Reader::start(&app, id).await;
    let mut of_other = Reader::start(&app, other).await;
    let events = scaled(1_000, 20_000);
    for round in 1..=events {
        deposit(&runtime, id, 1).await;
        if round % 10 == 0 {
            deposit(&runtime, other, 1).await;
            fast.until(usize::try_from(1 + round).unwrap()).await;
        }
    }
    assert_eq!(
        slow.until(usize::try_from(1 + events).unwrap()).await,
        (1..=1 + events).collect::<Vec<_>>()
    );
    assert_eq!(
        of_other.until(usize::try_from(1 + events / 10).unwrap()).await,
        (1..=1 + events / 10).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn readers_are_let_go_when_the_server_or_the_runtime_ends() {
    let runtime = Runtime::builder(MemoryStore::new()).start().await.unwrap();
    let id = account_with(&runtime, 0).await;
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let ends = async move { drop(ended.await) };
    let app = es_http::router(&runtime)
        .events::<Account>("/accounts")
        .until(ends)
        .build();
    deposit(&runtime, id, 200).await;
    let (mut waits, mut behind) = (Reader::start(&app, id).await, Reader::start(&app, id).await);
    waits.until(201).await;
    behind.until(1).await;
    end.send(()).unwrap();
    for mut reader in [waits, behind] {
        assert!(timeout(LONG, reader.0.next()).await.unwrap().is_none());
    }

    let app = es_http::router(&runtime).events::<Account>("/accounts").build();
    let mut reader = Reader::start(&app, id).await;
    reader.until(1).await;
    runtime.shutdown().await.unwrap();
    assert!(timeout(LONG, reader.0.next()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn one_who_waits_hears_a_heartbeat() {
    let (runtime, app) = bank().await;
    let id = account_with(&runtime, 0).await;
    let mut reader = Reader::start(&app, id).await;
    reader.until(1).await;
    let began = tokio::time::Instant::now();
    let heartbeat = reader.0.next().await.unwrap().unwrap();
    assert_eq!((&heartbeat[..], began.elapsed().as_secs()), (&b":\n\n"[..], 15));
}

/// The answer of a stream begins at once, and is marked as what must not be kept.
#[tokio::test]
async fn an_event_is_a_name_and_one_line_of_json() {
    let (runtime, app) = bank().await;
    let id = account_with(&runtime, 5).await;
    let server = Server::start(app).await;
    let headers = [("accept", "text/html, text/event-stream"), ("last-event-id", "1")];
    let mut stream = server.begin(&format!("GET /accounts/{id}/events"), &headers, "").await;
    let mut bytes = Vec::new();
    while !String::from_utf8_lossy(&bytes).contains("id: 2") || !bytes.ends_with(b"\n\n\r\n") {
        let mut more = [0; 1000];
        let read = stream.read(&mut more).await.unwrap();
        bytes.extend_from_slice(&more[..read]);
    }
    let answer = Answer::read(&bytes);
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    let lines: Vec<_> = answer.body.lines().collect();
    assert_eq!(lines[..4], ["retry: 1000", "", "id: 2", "event: deposited"]);
    let data: serde_json::Value = serde_json::from_str(lines[4].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(
        (&data["data"]["amount"], &data["position"], &data["version"]),
        (&5.into(), &2.into(), &2.into())
    );
}
