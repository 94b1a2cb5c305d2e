//! An import that ends in the midst is run again, and each append is stored once.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use es_runtime::archive::{self, ArchiveError, Archived};
use es_runtime::store::{Append, Change, Demand, RestoreAppendError, StateChange, StateKey};
use es_runtime::{EventId, ExpectedVersion, MemoryStore, Metadata, NewEvent, StreamId};
use es_tests::scaled;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

use crate::history::{Store, archive_of_filled, export};

/// An input that fails, or an output that is full.
struct Failing;

impl AsyncRead for Failing {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::Error::other("the disk is gone")))
    }
}

/// The archive of a log of so many appends.
async fn long(appends: u64) -> Vec<u8> {
    let source: Store = Arc::new(MemoryStore::new());
    for _ in 0..appends {
        source.append(append("long")).await.unwrap();
    }
    export(&source).await
}

fn state(number: u64, sequence: u64) -> StateChange {
    StateChange {
        key: StateKey::new("mine", "state", format!("{number:04}")),
        sequence,
        change: Change::Create,
        shape: 1,
        payload: Some("{}".into()),
    }
}

fn append(stream: &str) -> Append {
    let event = NewEvent {
        id: EventId(uuid::Uuid::now_v7()),
        name: "happened".into(),
        shape_version: 1,
        payload: "{}".into(),
        metadata: Metadata::EMPTY,
    };
    Append::new(StreamId::new("account", stream), ExpectedVersion::Any, vec![event])
}

es_tests::on_every_store_and_postgres! {
    async fn an_input_that_fails_anywhere_is_read_again(store: _, _clock: _) {
        let whole = archive_of_filled().await;
        let target: Store = store;
        let mut stored = 0;
        for end in (0..whole.len()).step_by(scaled(97, 7)) {
            let input = (&whole[..end]).chain(Failing);
            let error = archive::import(input, Arc::clone(&target)).await.unwrap_err();
            assert!(matches!(error, ArchiveError::Io { .. }), "{error}");
        }
        let imported = archive::import(&whole[..], Arc::clone(&target)).progress(|so_far| stored = so_far.stored).await.unwrap();
        assert_eq!(imported.stored, stored);
        assert_eq!(export(&target).await, whole);
    }

    async fn an_import_goes_on_where_it_was(store: _, _clock: _) {
        let whole = long(2_500).await;
        let target: Store = store;
        let input = (&whole[..whole.len() / 2]).chain(Failing);
        let mut before = Archived::default();
        archive::import(input, Arc::clone(&target)).progress(|so_far| before = so_far).await.unwrap_err();
        assert_eq!((before.events, before.stored), (1_000, 1_000));
        assert_eq!(target.head().await.unwrap(), 1_000);
        let mut last = Archived::default();
        let imported = archive::import(&whole[..], Arc::clone(&target)).progress(|so_far| {
            assert!(so_far.events >= last.events && so_far.stored >= last.stored);
            last = so_far;
        });
        let imported = imported.await.unwrap();
        assert_eq!((imported.events, imported.stored), (2_500, 1_500));
        assert_eq!(last, imported);
        assert_eq!(export(&target).await, whole);
    }

    async fn somebody_else_who_saves_a_state_meanwhile_is_noticed(store: _, _clock: _) {
        let source: Store = Arc::new(MemoryStore::new());
        let states = Arc::clone(&source).state_store().unwrap();
        for first in [0, 1_500] {
            states.save((first..first + 1_500).map(|number| state(number, 1)).collect(), Demand::Next).await.unwrap();
        }
        let whole = export(&source).await;
        let target: Store = store;
        let (mut sender, input) = tokio::io::duplex(1 << 20);
        let half = whole.len() / 2;
        sender.write_all(&whole[..half]).await.unwrap();
        let (told, mut stored) = tokio::sync::mpsc::unbounded_channel();
        let importing = tokio::spawn({
            let target = Arc::clone(&target);
            async move { archive::import(input, target).progress(|so_far| told.send(so_far.stored).unwrap()).await }
        });
        assert_eq!(stored.recv().await, Some(1_000));
        let others = Arc::clone(&target).state_store().unwrap();
        others.save(vec![state(2_900, 7)], Demand::Newer).await.unwrap();
        sender.write_all(&whole[half..]).await.unwrap();
        drop(sender);
        let error = importing.await.unwrap().unwrap_err();
        assert!(matches!(error, ArchiveError::Differs { line: 3_002, .. }), "{error}");
        let error = archive::import(&whole[..], Arc::clone(&target)).await.unwrap_err();
        assert!(error.to_string().contains("the sequence of `mine/state/2900` is 1 in the archive and 7 in the store"), "{error}");
    }

    async fn somebody_else_who_writes_meanwhile_ends_the_import(store: _, _clock: _) {
        let whole = long(2_500).await;
        let target: Store = store;
        let (mut sender, input) = tokio::io::duplex(1 << 20);
        let half = whole.len() / 2;
        sender.write_all(&whole[..half]).await.unwrap();
        let (told, mut stored) = tokio::sync::mpsc::unbounded_channel();
        let importing = tokio::spawn({
            let target = Arc::clone(&target);
            async move { archive::import(input, target).progress(|so_far| told.send(so_far.stored).unwrap()).await }
        });
        assert_eq!(stored.recv().await, Some(1_000));
        target.append(append("foreign")).await.unwrap();
        sender.write_all(&whole[half..]).await.unwrap();
        let error = importing.await.unwrap().unwrap_err();
        let ArchiveError::Refused { line: 1_002, source } = &error else { panic!("{error:?}") };
        assert!(matches!(**source, RestoreAppendError::Misplaced { .. }), "{source}");
        // It is told again, and nothing more is stored.
        let error = archive::import(&whole[..], Arc::clone(&target)).await.unwrap_err();
        assert!(matches!(error, ArchiveError::Differs { line: 1_002, .. }), "{error}");
        assert_eq!(target.head().await.unwrap(), 1_001);
    }
}

#[tokio::test]
async fn an_output_that_fails_is_an_error_and_leaves_no_archive() {
    let source: Store = Arc::new(MemoryStore::new());
    crate::history::filled(&source).await;
    let whole = export(&source).await;
    for room in [0, 1, whole.len() / 2, whole.len() - 1] {
        let mut output = vec![0; room];
        let error = archive::export(Arc::clone(&source), &mut io::Cursor::new(&mut output[..]))
            .await
            .unwrap_err();
        assert!(matches!(error, ArchiveError::Io { .. }), "{error}");
        assert!(matches!(
            archive::verify(&output[..]).await,
            Err(ArchiveError::Cut { .. })
        ));
    }
}
