use std::io;

use es_runtime::store::Append;
use es_runtime::{
    AppendId, EventId, EventStore as _, ExpectedVersion, MemoryStore, Metadata, NewEvent, StoreError, StoreErrorKind,
    StreamId,
};
use serde_json::json;

use super::bank::Bank;
use super::{Written, parse, run};
use crate::output::{Form, Output};

#[tokio::test]
async fn a_store_moves_through_a_file_once_and_whole() {
    let (bank, folder) = (Bank::seeded().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("bank.archive");
    let file = file.to_str().unwrap();
    let exported = run(bank.builder(), &["export", file]).await;
    assert_eq!(exported.status, 0, "{exported:?}");
    assert!(
        exported.out.starts_with("exported 5 events in 5 appends, and "),
        "{}",
        exported.out
    );
    let again = run(bank.builder(), &["export", file]).await;
    assert_eq!((again.status, &*again.out), (1, ""), "no archive is overwritten");

    let verified = run(bank.builder(), &["verify", "--archive", file, "--json"]).await;
    assert_eq!((verified.status, &verified.json()[0]["events"]), (0, &json!(5)));

    let copy = Bank::empty();
    let imported = run(copy.builder(), &["import", file, "--json"]).await;
    assert_eq!(
        (imported.status, &imported.json()[0]["events"]),
        (0, &json!(5)),
        "{imported:?}"
    );
    let list = ["events", "--json"];
    assert_eq!(
        run(copy.builder(), &list).await.out,
        run(bank.builder(), &list).await.out
    );
    let twice = run(copy.builder(), &["import", file]).await;
    assert!(twice.out.contains("were there before"), "{twice:?}");
}

#[tokio::test]
async fn nothing_is_stored_of_an_archive_that_is_damaged_at_its_end() {
    let (bank, folder) = (Bank::seeded().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("bank.archive");
    let file = path.to_str().unwrap();
    assert_eq!(run(bank.builder(), &["export", file]).await.status, 0);
    let whole = std::fs::read_to_string(&path).unwrap();
    let end = whole.trim_end().rfind('\n').unwrap();
    std::fs::write(&path, &whole[..=end]).unwrap();
    let copy = Bank::empty();
    for arguments in [&["import", file][..], &["verify", "--archive", file]] {
        let ran = run(copy.builder(), arguments).await;
        assert_eq!(ran.status, 1);
        assert!(ran.notes.contains("before its last line"), "{}", ran.notes);
    }
    assert_eq!(run(copy.builder(), &["events"]).await.out, "");
    let never = async { panic!("the store is not even opened") };
    let import = parse(&["import", file]).unwrap();
    let mut output = Output::new(io::sink(), io::sink(), Form { json: false });
    let status = import.run_to::<MemoryStore, StoreError>(never, &mut output).await;
    assert_eq!(status, 1);
    let missing = run(copy.builder(), &["import", "/no/such/file"]).await;
    assert!(missing.notes.starts_with("error: /no/such/file: "), "{missing:?}");
}

#[tokio::test]
async fn a_stream_that_cannot_be_read_is_found_and_is_no_obstacle() {
    let bank = Bank::seeded().await;
    let sound = run(bank.builder(), &["verify"]).await;
    let expected = "5 events in 2 streams were read, 0 streams cannot be\n";
    assert_eq!((sound.status, &*sound.out), (0, expected));

    let event = NewEvent {
        id: EventId(AppendId::new().0),
        name: "painted".into(),
        shape_version: 1,
        payload: "{}".into(),
        metadata: Metadata::EMPTY,
    };
    let append = Append::new(StreamId::new("account", "bob"), ExpectedVersion::Any, vec![event]);
    bank.store.append(append).await.unwrap();
    let ran = run(bank.builder(), &["verify", "--json"]).await;
    let lines = ran.json();
    assert_eq!((ran.status, lines.len()), (3, 2), "{ran:?}");
    assert_eq!(lines[0]["stream"]["id"], "bob");
    assert!(lines[0]["error"].as_str().unwrap().contains("painted"), "{lines:?}");
    assert_eq!(lines[1], json!({"streams": 2, "events": 6, "faults": 1}));

    let listed = run(bank.builder(), &["stream", "account/bob", "--json"]).await;
    assert_eq!((listed.status, listed.json().len()), (0, 2));
    assert_eq!(run(bank.builder(), &["state", "account/bob"]).await.status, 1);
    assert_eq!(
        run(bank.builder(), &["state", "account/bob", "--at-version", "1"])
            .await
            .status,
        0
    );
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_said_with_the_cause() {
    let broken = async {
        let cause = io::Error::other("the disk is gone");
        Err::<es_runtime::Builder<MemoryStore>, _>(
            StoreError::new(StoreErrorKind::Unavailable, "no store").caused_by(cause),
        )
    };
    let notes = Written::default();
    let mut output = Output::new(io::sink(), notes.clone(), Form { json: false });
    assert_eq!(parse(&["status"]).unwrap().run_to(broken, &mut output).await, 1);
    drop(output);
    let text = notes.text();
    assert!(
        text.contains("no store") && text.contains("the disk is gone") && text.lines().count() == 1,
        "{text}"
    );
}
