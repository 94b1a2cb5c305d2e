//! Commands: their options, answers and problems.

use axum::http::Method;
use axum::http::request::Parts;
use es_http::Problem;
use es_runtime::prelude::*;
use es_tests::bank::{Account, Audit, Deposit, InsufficientFunds, account_with, balance};
use es_tests::scaled;
use tokio::io::AsyncReadExt as _;

use super::client::Server;

/// The user whom a layer in front would have checked.
pub(crate) fn user_of(parts: &Parts) -> Result<Option<String>, Problem> {
    match parts
        .headers
        .get("x-user")
        .map(|user| user.to_str().unwrap_or_default())
    {
        Some("mallory") => Err(Problem::new(403, "forbidden")),
        user => Ok(user.map(str::to_owned)),
    }
}

pub(crate) async fn bank() -> (Runtime, Server) {
    let runtime = Runtime::builder(MemoryStore::new()).start().await.unwrap();
    let app = es_http::router(&runtime)
        .actor(user_of)
        .commands::<Account>("/accounts")
        .command::<Audit>(Method::PUT, "/accounts/{id}/audit")
        .refusal(|why: &InsufficientFunds| Problem::new(422, "insufficient-funds").with("balance", why.balance))
        .build();
    let server = Server::start(app).await;
    (runtime, server)
}

#[tokio::test]
async fn a_command_is_a_post_to_its_name() {
    let (runtime, server) = bank().await;
    let opened = server.post("/accounts/open", &[], r#"{"owner": "Alice"}"#).await;
    assert_eq!(opened.status, 201, "{opened:?}");
    let id = opened.header("location").unwrap().to_owned();
    assert_eq!(opened.json()["id"], id.as_str());
    assert_eq!(opened.header("etag"), Some("\"1\""));
    let path = format!("/accounts/{id}");
    let deposited = server.post(&format!("{path}/deposit"), &[], r#"{"amount": 5}"#).await;
    assert_eq!(
        (
            deposited.status,
            deposited.header("etag"),
            deposited.header("es-position")
        ),
        (200, Some("\"2\""), Some("2"))
    );
    assert_eq!(
        deposited.body,
        format!(r#"{{"events":1,"id":"{id}","position":2,"repeated":false,"version":2}}"#)
    );
    for empty in ["", "{}", " null "] {
        assert_eq!(
            server.post(&format!("{path}/audit"), &[], empty).await.status,
            200,
            "{empty:?}"
        );
        assert_eq!(
            server.send(&format!("PUT {path}/audit"), &[], empty).await.status,
            200,
            "{empty:?}"
        );
    }
    assert_eq!(balance(&runtime, id.parse().unwrap()).await, 5);
}

#[tokio::test]
async fn what_is_not_done_is_a_problem() {
    let (runtime, server) = bank().await;
    let id = account_with(&runtime, 20).await;
    let path = format!("/accounts/{id}");
    let nobody = format!("/accounts/{}", Id::<Account>::new());
    let post = async |path: String, body: &str| {
        let answer = server.post(&path, &[], body).await;
        (answer.status, answer.problem(), answer.json())
    };
    let (status, kind, body) = post(format!("{path}/withdraw"), r#"{"amount": 21}"#).await;
    assert_eq!(
        (status, &*kind, &body["balance"]),
        (422, "insufficient-funds", &20.into())
    );
    let (status, kind, body) = post(format!("{path}/deposit"), r#"{"amount": 0}"#).await;
    assert_eq!(
        (status, &*kind, &body["errors"][0]["pointer"]),
        (400, "invalid", &"#/amount".into())
    );
    let (status, kind, body) = post(format!("{path}/deposit"), r#"{"amount": "much"}"#).await;
    assert_eq!(
        (status, &*kind, &body["errors"][0]["pointer"]),
        (400, "invalid", &"#".into())
    );
    assert!(
        body["detail"]
            .as_str()
            .unwrap()
            .starts_with("invalid type: string \"much\", expected i64"),
        "{body}"
    );
    let (status, kind, body) = post(format!("{path}/deposti"), "{}").await;
    assert_eq!((status, &*kind), (404, "unknown-command"));
    assert_eq!(
        body["commands"],
        serde_json::json!(["open", "deposit", "withdraw", "audit"])
    );
    let (status, kind, body) = post("/accounts/deposit".to_owned(), r#"{"amount": 1}"#).await;
    assert_eq!(
        (status, &*kind, &body["commands"]),
        (404, "unknown-command", &serde_json::json!(["open"]))
    );
    assert_eq!(post(format!("{nobody}/deposit"), r#"{"amount": 1}"#).await.0, 404);
    let (status, kind, _) = post(format!("{path}/open"), r#"{"owner": "Bob"}"#).await;
    assert_eq!((status, &*kind), (409, "already-exists"));
    let (status, kind, _) = post("/nowhere".to_owned(), "{}").await;
    assert_eq!((status, &*kind), (404, "not-found"));
    let wrong = server.send(&format!("PATCH {path}/audit"), &[], "").await;
    assert_eq!(
        (wrong.status, &*wrong.problem(), wrong.header("allow")),
        (405, "method-not-allowed", Some("PUT, POST"))
    );
    let headers = [("content-type", "text/plain"), ("content-length", "12")];
    let mut stream = server.begin(&format!("POST {path}/deposit"), &headers, "").await;
    let mut answer = Vec::new();
    tokio::io::AsyncWriteExt::write_all(&mut stream, br#"{"amount":1}"#)
        .await
        .unwrap();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(super::client::Answer::read(&answer).status, 415);
    assert_eq!(balance(&runtime, id).await, 20);
}

#[tokio::test]
async fn a_version_that_has_passed_is_a_failed_precondition() {
    let (runtime, server) = bank().await;
    let id = account_with(&runtime, 5).await;
    let path = format!("/accounts/{id}/deposit");
    let deposit = async |headers: &[(&str, &str)]| server.post(&path, headers, r#"{"amount": 1}"#).await;
    assert_eq!(deposit(&[("if-match", "\"2\"")]).await.header("etag"), Some("\"3\""));
    let outdated = deposit(&[("if-match", "\"2\"")]).await;
    assert_eq!(
        (outdated.status, &*outdated.problem(), &outdated.json()["version"]),
        (412, "precondition-failed", &3.into())
    );
    for tag in ["\"x\"", "W/\"3\"", "\"03\"", "\"\"", "\"99999999999999999999\""] {
        assert_eq!(deposit(&[("if-match", tag)]).await.status, 412, "{tag}");
    }
    for tag in ["3", "*", "\"3\", \"4\"", "\"3"] {
        assert_eq!(deposit(&[("if-match", tag)]).await.status, 400, "{tag}");
    }
    assert_eq!(
        deposit(&[("if-match", "\"3\""), ("if-match", "\"3\"")]).await.status,
        400
    );
    assert_eq!(deposit(&[("if-none-match", "*")]).await.status, 412);
    assert_eq!(deposit(&[("if-none-match", "\"3\"")]).await.status, 400);
    let new = format!("/accounts/{}/open", Id::<Account>::new());
    let open = async |headers: &[(&str, &str)]| server.post(&new, headers, r#"{"owner": "Bob"}"#).await.status;
    assert_eq!(open(&[("if-none-match", "*")]).await, 200);
    assert_eq!(open(&[("if-none-match", "*")]).await, 412);
    assert_eq!(open(&[]).await, 409);
    assert_eq!(balance(&runtime, id).await, 6);
}

#[tokio::test]
async fn a_repeated_request_is_done_once_whoever_else_has_its_key() {
    let (runtime, server) = bank().await;
    let id = account_with(&runtime, 0).await;
    let path = format!("/accounts/{id}/deposit");
    let deposit = async |user: &str, key: &str, amount: i64| {
        let body = format!(r#"{{"amount": {amount}}}"#);
        server
            .post(&path, &[("x-user", user), ("idempotency-key", key)], &body)
            .await
    };
    let first = deposit("alice", "k", 1).await;
    assert_eq!(first.header("es-repeated"), None);
    let again = deposit("alice", "\"k\"", 1).await;
    assert_eq!(
        (again.status, again.header("es-repeated"), again.header("etag")),
        (200, Some("true"), first.header("etag"))
    );
    assert_eq!(deposit("alice", "k", 2).await.problem(), "idempotency-mismatch");
    // No two pairs of actor and key are one key of the store.
    for (user, key) in [("bob", "k"), ("a", "b/c"), ("a/b", "c"), ("", "a/b/c")] {
        assert_eq!(
            deposit(user, key, 1).await.header("es-repeated"),
            None,
            "{user:?} {key:?}"
        );
    }
    assert_eq!(deposit("alice", "", 1).await.status, 400);
    assert_eq!(deposit("alice", &"k".repeat(256), 1).await.status, 400);
    assert_eq!(deposit("mallory", "k", 1).await.problem(), "forbidden");
    assert_eq!(balance(&runtime, id).await, 5);

    let at_once = futures_util::future::join_all((0..8).map(|_| deposit("alice", "at once", 1))).await;
    assert_eq!(
        at_once
            .iter()
            .filter(|answer| answer.header("es-repeated").is_none())
            .count(),
        1,
        "{at_once:?}"
    );
    assert!(at_once.iter().all(|answer| answer.status == 200));
    assert_eq!(balance(&runtime, id).await, 6);
}

#[tokio::test]
async fn a_repeated_request_for_a_new_id_gets_the_same_one() {
    let (_runtime, server) = bank().await;
    let open = async |headers: &[(&str, &str)]| server.post("/accounts/open", headers, r#"{"owner": "Alice"}"#).await;
    let first = open(&[("idempotency-key", "k")]).await;
    let again = open(&[("idempotency-key", "k")]).await;
    assert_eq!((again.status, again.header("es-repeated")), (201, Some("true")));
    assert_eq!(again.header("location"), first.header("location"));
    let another = open(&[("idempotency-key", "k"), ("x-user", "bob")]).await;
    assert_ne!(another.header("location"), first.header("location"));
    assert_ne!(open(&[]).await.header("location"), open(&[]).await.header("location"));
}

#[tokio::test]
async fn each_answer_that_is_cut_is_repeated_by_its_key() {
    let (runtime, server) = bank().await;
    let id = account_with(&runtime, 0).await;
    let path = format!("/accounts/{id}/deposit");
    let whole = server
        .post(&path, &[("idempotency-key", "whole")], r#"{"amount": 1}"#)
        .await;
    let length = format!("{whole:?}").len();
    let mut balance_then = 1;
    for cut in (0..length).step_by(scaled(7, 1)) {
        let key = format!("cut at {cut}");
        let headers = [("idempotency-key", &*key)];
        let mut stream = server
            .begin(&format!("POST {path}"), &headers, r#"{"amount": 1}"#)
            .await;
        let mut read = vec![0; cut];
        let _ = stream.read_exact(&mut read).await;
        drop(stream);
        let again = server.post(&path, &headers, r#"{"amount": 1}"#).await;
        assert_eq!(again.status, 200, "{again:?}");
        balance_then += 1;
        assert_eq!(balance(&runtime, id).await, balance_then, "cut at {cut}");
    }
}

#[tokio::test]
async fn what_a_request_says_of_itself_is_recorded_and_told_back() {
    let (runtime, server) = bank().await;
    let id = account_with(&runtime, 0).await;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [
        ("x-user", "alice"),
        ("x-correlation-id", "c-1"),
        ("traceparent", traceparent),
    ];
    let path = format!("/accounts/{id}/deposit");
    let answer = server.post(&path, &headers, r#"{"amount": 1}"#).await;
    assert_eq!(
        (answer.header("x-correlation-id"), answer.header("traceparent")),
        (Some("c-1"), Some(traceparent))
    );
    let mut history = runtime.history(id);
    let mut last = None;
    while let Some((recorded, _)) = history.next().await.unwrap() {
        last = Some(recorded.metadata);
    }
    let last = last.unwrap();
    assert_eq!(
        (last.actor(), last.correlation_id(), last.traceparent()),
        (Some("alice"), Some("c-1"), Some(traceparent))
    );
    let malformed = server.post(&path, &[("traceparent", "00-x")], r#"{"amount": 1}"#).await;
    assert_eq!((malformed.status, &*malformed.problem()), (400, "invalid"));
}

#[tokio::test]
async fn commands_without_a_key_are_refused_where_they_must_have_one() {
    let runtime = Runtime::builder(MemoryStore::new()).start().await.unwrap();
    let app = es_http::router(&runtime)
        .require_keys()
        .commands::<Account>("/accounts")
        .build();
    let server = Server::start(axum::Router::new().nest("/bank/{branch}", app)).await;
    let open =
        async |headers: &[(&str, &str)]| server.post("/bank/7/accounts/open", headers, r#"{"owner": "A"}"#).await;
    assert_eq!(open(&[]).await.status, 400);
    assert_eq!(open(&[("idempotency-key", "k")]).await.status, 201);
}

#[test]
fn a_mistake_in_the_routes_is_found_when_they_are_built() {
    fn mistake(make: impl FnOnce(es_http::Builder) -> es_http::Builder + std::panic::UnwindSafe) -> String {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let runtime = tokio.block_on(async { Runtime::builder(MemoryStore::new()).start().await.unwrap() });
        let builder = std::panic::AssertUnwindSafe(es_http::router(&runtime));
        let panic = std::panic::catch_unwind(move || drop(make({ builder }.0).build())).unwrap_err();
        panic.downcast_ref::<String>().cloned().unwrap_or_default()
    }
    assert_eq!(
        mistake(|app| app.commands::<Account>("/accounts").commands::<Account>("/accounts")),
        "two routes are `POST /accounts/{id}/{command}`: give one of them another path"
    );
    assert_eq!(
        mistake(|app| app.command::<Deposit>(Method::PUT, "/accounts/deposit")),
        "`/accounts/deposit` has no `{id}`, so that it is not known whom the command is for: write one like `/accounts/{id}`"
    );
    for path in ["accounts", "/", "", "/accounts/", "/accounts/{id}"] {
        let told = mistake(|app| app.commands::<Account>(path));
        assert_eq!(
            told,
            format!(
                "`{path}` is not the path of a collection: write one like `/accounts`, and nest the router for more"
            )
        );
    }
    assert_eq!(
        mistake(|app| app
            .commands::<Account>("/accounts")
            .refusal(|_: &Invalid| Problem::new(400, "never"))),
        "no command with a route is refused with `es_runtime::command::Invalid`: remove its `refusal`, or add the `commands`"
    );
}
