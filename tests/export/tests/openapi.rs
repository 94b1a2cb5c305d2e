//! The document of an HTTP application, held against what the application does.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use es_runtime::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt as _;

#[value]
enum Channel {
    Counter,
    Online { device: Device },
}

#[value]
struct Device {
    name: String,
    behind: Option<Box<Device>>,
}

#[event]
struct Opened {
    owner: String,
    channel: Channel,
}

#[event]
struct Closed;

#[command]
struct Open {
    owner: String,
    channel: Channel,
}

#[command]
struct Close;

#[derive(Aggregate)]
struct Account;

#[aggregate]
impl Account {
    #[handle]
    fn open(this: Option<&Self>, cmd: Open) -> Option<Opened> {
        this.is_none().then_some(Opened {
            owner: cmd.owner,
            channel: cmd.channel,
        })
    }

    #[handle]
    fn close(&self, _: Close) -> Closed {
        Closed
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }

    #[apply]
    fn closed(&mut self, _: Closed) {}
}

#[projection(name = "owners", index = ["owner"])]
struct Owner {
    owner: String,
}

#[projection]
impl Owner {
    #[apply]
    fn opened(event: Opened) -> Self {
        Owner { owner: event.owner }
    }
}

async fn app() -> Router {
    let runtime = Runtime::builder(MemoryStore::new())
        .projection::<Owner>()
        .start()
        .await
        .unwrap();
    es_http::router(&runtime)
        .commands::<Account>("/accounts")
        .command::<Close>(Method::DELETE, "/accounts/{id}")
        .rows::<Owner>("/owners")
        .events::<Account>("/accounts")
        .openapi("Bank", "1.4.0")
        .build()
}

async fn send(app: &Router, method: &str, path: &str, body: &str) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json");
    let answer = app
        .clone()
        .oneshot(request.body(Body::from(body.to_owned())).unwrap())
        .await
        .unwrap();
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

/// Returns whether the value is of the schema at this place of the document.
fn is_valid(document: &Value, place: &str, value: &Value) -> bool {
    let schema = json!({"$ref": format!("#{place}"), "components": document["components"], "paths": document["paths"]});
    jsonschema::is_valid(&schema, value)
}

/// All references in the document.
fn references(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, out)),
        Value::Object(fields) => {
            out.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| references(value, out));
        }
        _ => {}
    }
}

#[tokio::test]
async fn each_route_of_the_document_is_there_and_each_reference_leads_somewhere() {
    let app = app().await;
    let (status, document) = send(&app, "GET", "/openapi.json", "").await;
    assert_eq!(
        (status, &document["openapi"], &document["info"]["title"]),
        (200, &json!("3.1.0"), &json!("Bank"))
    );
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 10);
    for reference in found {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{reference}");
    }
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let concrete = path.replace("{id}", "01940b6e-5f3c-7000-8000-000000000000");
            let (status, answer) = send(&app, &method.to_uppercase(), &concrete, "").await;
            assert!(status != 405 && status < 500, "{method} {path}: {answer}");
            assert_ne!(answer["detail"], "there is no such route", "{method} {path}");
            assert_ne!(answer["type"], "urn:problem-type:unknown-command", "{method} {path}");
            if status >= 400 {
                assert!(is_valid(&document, "/components/schemas/Problem", &answer), "{answer}");
            }
            routes.push(format!("{method} {path}"));
        }
    }
    routes.sort();
    let expected = [
        "delete /accounts/{id}",
        "get /accounts/{id}/events",
        "get /owners",
        "get /owners/{id}",
        "post /accounts/open",
        "post /accounts/{id}/close",
        "post /accounts/{id}/open",
    ];
    assert_eq!(routes, expected);
}

#[tokio::test]
async fn the_schema_of_a_command_allows_what_the_application_takes() {
    let app = app().await;
    let (_, document) = send(&app, "GET", "/openapi.json", "").await;
    let device = |behind: Value| json!({"name": "phone", "behind": behind});
    let open = |channel: Value| json!({"owner": "Alice", "channel": channel});
    let contents = [
        open(json!("Counter")),
        open(json!({"Online": {"device": device(Value::Null)}})),
        open(json!({"Online": {"device": device(device(Value::Null))}})),
        open(json!({"Online": {"device": device(json!("none"))}})),
        open(json!({"Online": {}})),
        open(json!("Telepathy")),
        json!({"owner": "Alice"}),
        json!({"owner": 5, "channel": "Counter"}),
        json!([]),
        json!("open"),
    ];
    let mut taken = 0;
    for content in contents {
        let allowed = is_valid(&document, "/components/schemas/command.account.open", &content);
        let (status, answer) = send(&app, "POST", "/accounts/open", &content.to_string()).await;
        assert_eq!(status, if allowed { 201 } else { 400 }, "{content}: {answer}");
        if allowed {
            taken += 1;
            assert!(is_valid(&document, "/components/schemas/Receipt", &answer), "{answer}");
            let events = format!("/accounts/{}/events", answer["id"].as_str().unwrap());
            let (_, page) = send(&app, "GET", &events, "").await;
            let of_pages = "/paths/~1accounts~1{id}~1events/get/responses/200/content/application~1json/schema";
            assert!(
                is_valid(&document, &of_pages.replace("{id}", "%7Bid%7D"), &page),
                "{page}"
            );
        }
    }
    assert_eq!(taken, 3);
}
