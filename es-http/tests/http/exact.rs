//! Numbers that are larger than 64 bits.

use es_runtime::prelude::*;

use super::client::Server;

#[event]
struct Stored {
    grains: u128,
}

#[command]
struct Store {
    grains: u128,
}

#[derive(Aggregate)]
#[es(id = String)]
struct Vault;

#[aggregate]
impl Vault {
    #[handle]
    fn store(cmd: Store) -> Stored {
        Stored { grains: cmd.grains }
    }

    #[apply]
    fn stored(_: Stored) -> Self {
        Vault
    }
}

#[projection(name = "content")]
struct Content {
    grains: u128,
}

#[projection]
impl Content {
    #[apply]
    fn stored(event: Stored) -> Self {
        Content { grains: event.grains }
    }
}

#[tokio::test]
async fn rows_and_events_have_every_digit() {
    let content = r#"{"grains":123456789012345678901234567}"#;
    let runtime = Runtime::builder(MemoryStore::new())
        .projection::<Content>()
        .start()
        .await
        .unwrap();
    let app = es_http::router(&runtime)
        .commands::<Vault>("/vaults")
        .events::<Vault>("/vaults")
        .rows::<Content>("/content")
        .build();
    let server = Server::start(app).await;
    let done = server.post("/vaults/north/store", &[], content).await;
    let after = [("es-after", done.header("es-position").unwrap())];
    let row = server.get("/content/north", &after).await;
    assert_eq!((row.status, &*row.body), (200, content));
    for path in ["/content", "/vaults/north/events"] {
        let list = server.get(path, &after).await;
        assert_eq!(list.status, 200, "{list:?}");
        assert!(list.body.contains(content), "{list:?}");
    }
}
