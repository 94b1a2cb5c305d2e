//! Events that an older build has written, and ids that are natural keys.

use es_runtime::prelude::*;
use es_runtime::store::Append;
use es_runtime::{ExpectedVersion, Metadata, NewEvent, StreamId};
use serde_json::json;

use super::client::Server;
use super::events::{Reader, names};

/// Its text was written in pages once, and its printing was recorded.
#[derive(Aggregate)]
#[es(id = String)]
struct Note;

#[event]
struct Begun;

#[event]
struct Written {
    text: String,
}

#[event]
struct Printed {}

#[event]
struct Page {
    title: String,
    text: String,
}

#[command]
struct Write {
    text: String,
}

#[aggregate]
impl Note {
    #[handle]
    fn write(this: Option<&Self>, cmd: Write) -> (Option<Begun>, Written) {
        (this.is_none().then_some(Begun), Written { text: cmd.text })
    }

    #[retired]
    fn printed(_: Printed) {}

    #[retired]
    fn page(page: Page) -> (Written, Written) {
        (Written { text: page.title }, Written { text: page.text })
    }

    #[apply]
    fn begun(_: Begun) -> Self {
        Note
    }

    #[apply]
    fn written(&mut self, _: Written) {}
}

/// A note whose events 2 to 4 are older than this build: nothing, two, nothing.
async fn notes() -> (Runtime, axum::Router) {
    let store = MemoryStore::new();
    let old = |name: &'static str, payload: &'static str| NewEvent {
        id: es_runtime::EventId(es_runtime::AppendId::new().0),
        name: name.into(),
        shape_version: 1,
        payload: payload.into(),
        metadata: Metadata::EMPTY,
    };
    let events = vec![
        old("begun", "null"),
        old("printed", "{}"),
        old("page", r#"{"title": "a", "text": "b"}"#),
        old("printed", "{}"),
        old("written", r#"{"text": "c"}"#),
    ];
    let stream = StreamId::new("note", "x");
    let append = Append::new(stream, ExpectedVersion::NoStream, events);
    store.append(append).await.unwrap();
    let runtime = Runtime::builder(store).start().await.unwrap();
    let app = es_http::router(&runtime)
        .commands::<Note>("/notes")
        .events::<Note>("/notes")
        .build();
    (runtime, app)
}

#[tokio::test]
async fn events_are_shown_as_they_are_read_today() {
    let (_runtime, app) = notes().await;
    let server = Server::start(app.clone()).await;
    let whole = server.get("/notes/x/events", &[]).await.json();
    let shown: Vec<_> = whole["events"].as_array().unwrap().iter().collect();
    let of = |event: &&serde_json::Value| json!([event["version"], event["name"], event["data"]]);
    let expected = [
        json!([1, "begun", null]),
        json!([3, "written", {"text": "a"}]),
        json!([3, "written", {"text": "b"}]),
        json!([5, "written", {"text": "c"}]),
    ];
    assert_eq!(shown.iter().map(of).collect::<Vec<_>>(), expected);
    let page = server.get("/notes/x/events?from=2&limit=1", &[]).await.json();
    assert_eq!(page, json!({"events": [], "next": "?from=3&limit=1"}));

    // The one who is cut behind `a` continues behind version 1, and gets `a` again.
    let mut reader = Reader::of(&app, "/notes/x/events").await;
    reader.until(3).await;
    let ids = [
        "id: 1",
        "event: begun",
        "event: written",
        "id: 3",
        "event: written",
        "id: 5",
        "event: written",
    ];
    assert_eq!(names(reader.text()), ids);
}

#[tokio::test]
async fn an_id_that_is_a_natural_key_is_not_made() {
    let (_runtime, app) = notes().await;
    let server = Server::start(app).await;
    let made = server.post("/notes/write", &[], r#"{"text": "a"}"#).await;
    assert_eq!((made.status, &*made.problem()), (404, "not-found"));
    let chosen = server.post("/notes/a%2Fb/write", &[], r#"{"text": "a"}"#).await;
    assert_eq!((chosen.status, &chosen.json()["id"]), (200, &json!("a/b")));
}
