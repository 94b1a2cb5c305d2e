//! An archive that is not as it was written is an error, with the line, and never another store.

use std::sync::Arc;

use es_runtime::MemoryStore;
use es_runtime::archive::{self, ArchiveError};
use es_tests::scaled;
use uuid::Uuid;

use crate::history::{Store, archive_of_filled, export};

/// The line with a part replaced, and with all checksums as they then must be.
pub(crate) fn forged(archive: &str, line: usize, from: &str, to: &str) -> String {
    let lines = archive.lines().enumerate().map(|(index, text)| {
        if index + 1 == line {
            assert!(text.contains(from), "{from} is not in {text}");
            text.replacen(from, to, 1)
        } else {
            text.to_owned()
        }
    });
    sealed(lines)
}

/// The lines with their checksums: each is the name-based UUID of the rest of the line, under that of the line before.
fn sealed(lines: impl Iterator<Item = String>) -> String {
    let mut sum: Uuid = "2f5d93a1-7c0e-4b68-8a41-d6e3905b1c7f".parse().unwrap();
    let lines = lines.map(|line| {
        let (_, rest) = line.split_once("\",").unwrap();
        sum = Uuid::new_v5(&sum, rest.as_bytes());
        format!("{{\"sum\":\"{sum}\",{rest}\n")
    });
    lines.collect()
}

/// Imports what must be an error, and checks that what was stored is a part of the archive. Returns the error.
async fn error(damaged: &[u8], whole: &[u8]) -> ArchiveError {
    let verified = archive::verify(damaged).await.unwrap_err();
    let store: Store = Arc::new(MemoryStore::new());
    let imported = archive::import(damaged, Arc::clone(&store)).await.unwrap_err();
    assert_eq!(imported.to_string(), verified.to_string());
    // The import of the whole archive goes on there.
    archive::import(whole, Arc::clone(&store)).await.unwrap();
    assert_eq!(export(&store).await, whole);
    imported
}

fn line_of(error: &ArchiveError) -> u64 {
    match error {
        ArchiveError::Damaged { line, .. } => *line,
        ArchiveError::Cut { lines } => *lines,
        error => panic!("{error:?}"),
    }
}

#[test]
fn checksums_are_those_that_the_guide_describes() {
    let archive = block_on(archive_of_filled());
    let text = String::from_utf8(archive).unwrap();
    assert_eq!(sealed(text.lines().map(str::to_owned)), text);
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

#[tokio::test]
async fn every_bit_counts() {
    let whole = archive_of_filled().await;
    let mut line = 1;
    for place in 0..whole.len() {
        for bit in 0..8 {
            if (place + bit) % scaled(3, 1) > 0 {
                continue;
            }
            let mut damaged = whole.clone();
            damaged[place] ^= 1 << bit;
            let error = error(&damaged, &whole).await;
            assert_eq!(line_of(&error), line, "bit {bit} of byte {place}: {error}");
        }
        line += u64::from(whole[place] == b'\n');
    }
}

#[tokio::test]
async fn an_archive_that_is_cut_anywhere_is_an_error() {
    let whole = archive_of_filled().await;
    for end in 0..whole.len() {
        let error = error(&whole[..end], &whole).await;
        assert!(matches!(error, ArchiveError::Cut { .. }), "at {end}: {error}");
        let lines = whole[..end]
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .count();
        assert_eq!(line_of(&error), lines as u64, "at {end}: {error}");
    }
}

#[tokio::test]
async fn lines_that_are_lost_repeated_or_moved_are_found() {
    let whole = archive_of_filled().await;
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    // Of an archive whose times are others.
    let others = String::from_utf8(whole.clone()).unwrap();
    let others = forged(&others, 2, "\"at\":\"2026", "\"at\":\"2025");
    let other = others.split_inclusive('\n').nth(2).unwrap().as_bytes();
    for place in 0..lines.len() {
        let at = place as u64 + 1;
        let mut lost = lines.clone();
        lost.remove(place);
        let mut repeated = lines.clone();
        repeated.insert(place, lines[place]);
        let mut foreign = lines.clone();
        foreign[place] = other;
        let mut empty = lines.clone();
        empty.insert(place, b"\n");
        let mut swapped = lines.clone();
        swapped.swap(place, (place + 1) % lines.len());
        let is_last = place + 1 == lines.len();
        for (what, lines, line) in [
            ("lost", lost, at),
            ("repeated", repeated, at + 1),
            ("foreign", foreign, at),
            ("empty", empty, at),
            ("swapped", swapped, if is_last { 1 } else { at }),
        ] {
            let error = error(&lines.concat(), &whole).await;
            match (what, is_last) {
                ("lost", true) => assert!(matches!(error, ArchiveError::Cut { .. }), "{error}"),
                _ => assert_eq!(line_of(&error), line, "line {at} {what}: {error}"),
            }
        }
    }
    let behind = [&whole[..], b"{}\n"].concat();
    assert_eq!(line_of(&error(&behind, &whole).await), lines.len() as u64 + 1);
}

#[tokio::test]
async fn lines_that_nobody_writes_are_refused_though_their_checksums_are_right() {
    let whole = archive_of_filled().await;
    let text = String::from_utf8(whole.clone()).unwrap();
    for (line, from, to, because) in [
        (
            1,
            "\"format\":1",
            "\"format\":2",
            "format 2, and this build reads format 1",
        ),
        (
            1,
            "{\"format\":1}",
            "{\"format\":1},\"end\":{\"appends\":0,\"events\":0,\"states\":0}",
            "it is not one of",
        ),
        (1, "\"archive\"", "\"archives\"", "unknown field `archives`"),
        (2, "\"append\":{", "\"append\":{\"more\":1,", "unknown field `more`"),
        (2, "\"at\":\"2026", "\"at\":\"12026", "is not a time"),
        (
            2,
            "{\"json\":",
            "{\"hex\":\"0g\"},\"more\":{\"json\":",
            "unknown field `more`",
        ),
        (2, "\"append\":", "\"state\":", "unknown field"),
        (
            9,
            "\"appends\":5",
            "\"appends\":4",
            "it counts other lines than there are",
        ),
        (
            9,
            "\"events\":6",
            "\"events\":7",
            "it counts other lines than there are",
        ),
        (
            9,
            "\"states\":2",
            "\"states\":0",
            "it counts other lines than there are",
        ),
    ] {
        let error = error(forged(&text, line, from, to).as_bytes(), &whole)
            .await
            .to_string();
        assert!(error.contains(because), "{error}");
    }
    let lines: Vec<&str> = text.lines().collect();
    let moved = [&lines[..5], &lines[6..8], &lines[5..6], &lines[8..]].concat();
    let error = error(sealed(moved.into_iter().map(str::to_owned)).as_bytes(), &whole).await;
    assert!(error.to_string().contains("an append comes behind a state"), "{error}");
}

#[tokio::test]
async fn what_the_store_refuses_is_told_with_its_line() {
    let text = String::from_utf8(archive_of_filled().await).unwrap();
    for (line, from, to, because) in [
        (
            5,
            "\"version\":1",
            "\"version\":7",
            "stream `a/a` is at version 1, expected version 7",
        ),
        (
            5,
            "\"id\":\"00000000-0000-0004-",
            "\"id\":\"00000000-0000-0001-",
            "its id is stored already",
        ),
        (5, "\"at\":\"2026", "\"at\":\"2025", "but the event before it at 2026"),
        (
            5,
            "\"category\":\"a\"",
            "\"category\":\"\"",
            "needs a category and an id",
        ),
        (
            7,
            "\"sequence\":1",
            "\"sequence\":0",
            "0 cannot be the sequence of `a/a/a`",
        ),
    ] {
        let store: Store = Arc::new(MemoryStore::new());
        let forged = forged(&text, line, from, to);
        let error = archive::import(forged.as_bytes(), Arc::clone(&store))
            .await
            .unwrap_err();
        let told = format!(
            "{error}: {}",
            std::error::Error::source(&error).map_or(String::new(), |source| {
                format!(
                    "{source}: {}",
                    source.source().map_or(String::new(), ToString::to_string)
                )
            })
        );
        assert!(
            told.contains(&format!("line {line}")) && told.contains(because),
            "{told}"
        );
    }
}
