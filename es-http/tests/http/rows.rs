//! Rows, over two applications: one takes commands, the other one reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use es_runtime::prelude::*;
use es_runtime::store::ProjectionStore;
use es_tests::balances::Balance;
use es_tests::bank::{Account, Deposit, Open, account_with};
use es_tests::random;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::client::Server;

type Store = Arc<dyn ProjectionStore>;

/// The application that only reads.
async fn reads(store: &Store) -> Server {
    let runtime = Runtime::builder(Arc::clone(store))
        .reads::<Balance>()
        .start()
        .await
        .unwrap();
    Server::start(es_http::router(&runtime).rows::<Balance>("/balances").build()).await
}

/// The application that takes commands; the runtime of a third one projects.
async fn commands(store: &Store) -> (Server, Runtime) {
    let runtime = Runtime::builder(Arc::clone(store)).start().await.unwrap();
    let projects = Runtime::builder(Arc::clone(store))
        .projection::<Balance>()
        .start()
        .await
        .unwrap();
    let app = es_http::router(&runtime).commands::<Account>("/accounts").build();
    (Server::start(app).await, projects)
}

es_tests::on_every_store! {
    async fn one_application_shows_what_another_one_did(store: _, clock: _) {
        let _ = clock;
        let (commands, _projects) = commands(&store).await;
        let reads = reads(&store).await;
        let opened = commands.post("/accounts/open", &[], r#"{"owner": "Alice"}"#).await;
        let id = opened.header("location").unwrap().to_owned();
        for cents in 1..50 {
            let done = commands.post(&format!("/accounts/{id}/deposit"), &[], r#"{"amount": 1}"#).await;
            let position = done.header("es-position").unwrap();
            let row = reads.get(&format!("/balances/{id}"), &[("es-after", position)]).await;
            assert_eq!((row.status, &row.json()["cents"]), (200, &json!(cents)), "{row:?}");
            assert_eq!(row.header("es-position"), Some(position));
            let tag = row.header("etag").unwrap();
            let same = reads.get(&format!("/balances/{id}"), &[("if-none-match", tag)]).await;
            assert_eq!((same.status, &*same.body, same.header("etag")), (304, "", Some(tag)));
            let list = reads.get("/balances?owner=Alice", &[("es-after", position)]).await;
            assert_eq!((&list.json()["rows"][0]["row"]["cents"], list.header("es-position")), (&json!(cents), Some(position)));
        }
        let head = reads.send(&format!("HEAD /balances/{id}"), &[], "").await;
        assert_eq!((head.status, &*head.body), (200, ""));
    }

    async fn what_is_not_there_yet_says_how_far_it_is(store: _, clock: _) {
        let _ = clock;
        let (_commands, projects) = commands(&store).await;
        let reads = reads(&store).await;
        let id = account_with(&projects, 5).await;
        assert_eq!(reads.get(&format!("/balances/{id}"), &[("es-after", "2")]).await.status, 200);
        projects.projection::<Balance>().wait_for(2, es_tests::waits::LONG).await.unwrap();
        let early = reads.get(&format!("/balances/{id}"), &[("es-after", "3"), ("prefer", "wait=0")]).await;
        assert_eq!((early.status, &*early.problem(), early.header("retry-after")), (503, "not-there-yet", Some("1")));
        assert_eq!((&early.json()["at"], &early.json()["after"]), (&json!(2), &json!(3)));
        let nobody = reads.get(&format!("/balances/{}", Id::<Account>::new()), &[]).await;
        assert_eq!((nobody.status, &*nobody.problem()), (404, "not-found"));
    }

    async fn no_stranger_has_a_table_scanned(store: _, clock: _) {
        let _ = clock;
        let (_commands, projects) = commands(&store).await;
        let reads = reads(&store).await;
        account_with(&projects, 5).await;
        let bad = [
            "nothing=1", "cents[like]=1", "cents=much", "order=nothing", "order=-", "limit=0", "limit=1001", "limit=x", "page=x",
            "page=%5B%22k%22%2C1%5D", "page=%5B%22k%22%2C%5B%5D%5D", "order=cents&page=%5B%22k%00%22%2Cnull%5D", "owner=%FF", "=", "[]=", "[gt]=1",
        ];
        for query in bad {
            let answer = reads.get(&format!("/balances?{query}"), &[]).await;
            assert_eq!(answer.status, 400, "{query}: {answer:?}");
            answer.problem();
        }
        let unindexed = reads.get("/balances?nothing=1", &[]).await.json();
        assert_eq!(unindexed["indexes"], json!(["owner", "cents"]));
        for text in ["'%20OR%201=1", "%00", "x%27%3B--", "%22", "%F0%9F%91%A9"] {
            let answer = reads.get(&format!("/balances?owner={text}"), &[]).await;
            assert_eq!((answer.status, answer.json()["rows"].clone()), (200, json!([])), "{text}");
            let row = reads.get(&format!("/balances/{text}"), &[]).await;
            assert!(matches!(row.status, 400 | 404), "{text}: {row:?}");
        }
        for (name, value) in [("es-after", "x"), ("es-after", "-1"), ("es-after", "9223372036854775808"), ("prefer", "wait=x")] {
            assert_eq!(reads.get("/balances", &[(name, value)]).await.status, 400, "{name}: {value}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_waits_as_long_as_it_is_told_and_half_a_minute_at_most() {
    let builder = Runtime::builder(MemoryStore::new()).projection::<Balance>();
    let runtime = builder.start().await.unwrap();
    let app = es_http::router(&runtime).rows::<Balance>("/balances").build();
    let cases = [
        ("return=minimal", 5),
        ("wait=2", 2),
        ("respond-async, wait=3", 3),
        ("wait=100", 30),
    ];
    for (prefer, seconds) in cases {
        let request = Request::get("/balances")
            .header("es-after", "9")
            .header("prefer", prefer);
        let began = Instant::now();
        let answer = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), began.elapsed().as_secs()),
            (503, seconds),
            "{prefer}"
        );
    }
}

/// Follows the links of a list to its end.
async fn pages(server: Server, query: &str) -> Vec<(String, i64)> {
    let (mut query, mut rows) = (query.to_owned(), Vec::new());
    loop {
        let page = server.get(&format!("/balances{query}"), &[]).await;
        let json = page.json();
        let of_page = json["rows"].as_array().unwrap().iter();
        rows.extend(of_page.map(|row| {
            (
                row["key"].as_str().unwrap().to_owned(),
                row["row"]["cents"].as_i64().unwrap(),
            )
        }));
        let Value::String(next) = &json["next"] else { break };
        assert_eq!(page.header("link"), Some(&*format!("<{next}>; rel=\"next\"")));
        query.clone_from(next);
    }
    rows
}

proptest! {
    #![proptest_config(random::config(6, 100))]

    /// Pages of any size, in any order and under any condition, are the rows, each once.
    #[test]
    fn pages_of_any_size_are_the_list(balances in prop::collection::vec(0..20_i64, 0..30), limit in 1..7_u32, least in 0..20_i64) {
        random::run(async {
            let store: Store = Arc::new(MemoryStore::new());
            let runtime = Runtime::builder(store).projection::<Balance>().start().await.unwrap();
            let mut model = BTreeMap::new();
            let mut last = Position::ZERO;
            for cents in balances {
                let id = Id::<Account>::new();
                last = runtime.execute(id, Open { owner: "A&b=c #1".into() }).await.unwrap().position;
                if cents > 0 {
                    last = runtime.execute(id, Deposit { amount: cents }).await.unwrap().position;
                }
                model.insert(id.to_string(), cents);
            }
            runtime.projection::<Balance>().wait_for(last, es_tests::waits::LONG).await.unwrap();
            let server = Server::start(es_http::router(&runtime).rows::<Balance>("/balances").build()).await;
            let mut rows: Vec<_> = model.into_iter().collect();
            assert_eq!(pages(server, &format!("?limit={limit}")).await, rows);
            rows.retain(|(_, cents)| *cents >= least);
            rows.sort_by_key(|(key, cents)| (*cents, key.clone()));
            let query = format!("?limit={limit}&cents[gte]={least}&order=cents&owner=A%26b%3Dc+%231");
            assert_eq!(pages(server, &query).await, rows);
            rows.reverse();
            assert_eq!(pages(server, &query.replace("order=", "order=-")).await, rows);
        });
    }
}
