//! Hostile texts in the store, and readers that go away.

use std::io::{self, Write};

use proptest::prelude::*;

use super::bank::{Bank, Open, account};
use super::{parse, ready, run};
use crate::output::{Form, Output};
use crate::text::{raw, shown};

const HOSTILE: [&str; 6] = [
    "\u{1b}]0;title\u{7}\u{1b}[2J",
    "a\nb\r\tc",
    "\u{9b}31m\u{7f}",
    "\u{202e}evil\u{2066}",
    "--json",
    "'; rm -rf / #/../..",
];

#[tokio::test]
async fn no_text_of_the_store_reaches_the_terminal_as_a_control() {
    let bank = Bank::empty();
    let runtime = bank.builder().open().await.unwrap();
    for id in HOSTILE {
        let owner = id.to_owned();
        let request = runtime.execute(account(id), Open { owner });
        request.actor(id).correlation(id).await.unwrap();
    }
    for id in HOSTILE {
        let stream = format!("account/{id}");
        let one: [&[&str]; 8] = [
            &["events"],
            &["events", "--json"],
            &["stream", &stream],
            &["stream", "--json", &stream],
            &["state", &stream],
            &["state", "--json", &stream],
            &["history", &stream],
            &["history", "--json", "--diff", &stream],
        ];
        for arguments in one {
            let ran = run(bank.builder(), arguments).await;
            assert_eq!(ran.status, 0, "{ran:?}");
            let hidden = ran
                .out
                .chars()
                .find(|letter| *letter != '\n' && shown(&letter.to_string()) != letter.to_string());
            assert_eq!(hidden, None, "{}", ran.out);
        }
        let read = run(bank.builder(), &["stream", "--json", &stream]).await.json();
        assert_eq!(read[0]["stream"]["id"], id);
        assert_eq!(read[0]["data"]["owner"], id);
        let nobody = run(bank.builder(), &["stream", &format!("{stream}x")]).await;
        assert_eq!(nobody.status, 1);
        assert_eq!(nobody.notes.lines().count(), 1, "{}", nobody.notes);
    }
}

proptest! {
    #[test]
    fn json_stays_the_same_json_in_one_line(text: String, number: u64) {
        let value = serde_json::json!({"text": text, "list": [number, null]});
        for json in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let line = shown(raw(json.as_bytes()).get()).into_owned();
            prop_assert_eq!(line.lines().count(), 1);
            prop_assert!(!line.contains(char::is_control));
            prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&line).unwrap(), &value);
        }
    }
}

#[test]
fn a_payload_that_is_no_json_is_a_string() {
    assert_eq!(raw(b"\xff{").get(), "\"\u{fffd}{\"");
    assert_eq!(raw(b"1.10").get(), "1.10");
}

/// The pipe that `head -1` leaves behind.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let bank = Bank::seeded().await;
    for arguments in [
        &["events"][..],
        &["events", "--follow"],
        &["status"],
        &["stream", "account/alice"],
    ] {
        let es = parse(arguments).unwrap();
        let mut output = Output::new(Gone, io::sink(), Form { json: false });
        assert_eq!(es.run_to(ready(bank.builder()), &mut output).await, 0, "{arguments:?}");
    }
}
