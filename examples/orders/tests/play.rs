//! The program from end to end: orders are played, killed, and played on.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use es_runtime::store::ReadLog;
use es_runtime::{EventStore as _, RecordedEvent};
use es_sqlite::SqliteStore;
use futures_util::TryStreamExt as _;
use orders::sink::{Mail, Sink};
use tempfile::TempDir;

const ORDERS: usize = 200;

/// A directory in which the program runs, and leaves its `orders.db`, and a mail server that lives on.
struct Desk {
    folder: TempDir,
    sink: Sink,
}

impl Desk {
    async fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            sink: Sink::start().await.unwrap(),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orders"));
        let smtp = self.sink.address().to_string();
        command
            .args(["--smtp", &smtp])
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    async fn play(&self) -> String {
        let mut command = self.command();
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Plays until so many orders are placed or settled, and kills the program there.
    async fn play_until(&self, progress: &'static str, least: usize) {
        let mut child = self
            .command()
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let killed = tokio::task::spawn_blocking(move || {
            let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
            let reached = lines.any(|line| {
                let number = line
                    .strip_suffix(progress)
                    .and_then(|number| number.parse::<usize>().ok());
                number.is_some_and(|number| number >= least)
            });
            child.kill().unwrap();
            child.wait().unwrap();
            reached
        });
        assert!(killed.await.unwrap(), "it ended before {least}{progress}");
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("orders.db")
    }
}

async fn log(file: &Path) -> Vec<RecordedEvent> {
    let store = SqliteStore::open(file).await.unwrap();
    let events = store.read_log(ReadLog::new()).try_collect().await.unwrap();
    store.close().await.unwrap();
    events
}

/// The times that each kind of event stands in the streams of each order: `O-17`, `P-17` and `S-17` are one.
fn by_order(log: &[RecordedEvent]) -> BTreeMap<u32, HashMap<String, usize>> {
    let mut orders: BTreeMap<u32, HashMap<String, usize>> = BTreeMap::new();
    for event in log {
        let Some((_, number)) = event.stream.id().split_once('-') else {
            continue;
        };
        if event.stream.category() != "fulfilment" {
            let kinds = orders.entry(number.parse().unwrap()).or_default();
            *kinds.entry(event.name.to_string()).or_default() += 1;
        }
    }
    orders
}

#[track_caller]
fn check_orders(log: &[RecordedEvent]) {
    let orders = by_order(log);
    assert_eq!(orders.len(), ORDERS);
    for (number, kinds) in &orders {
        let count = |name: &str| kinds.get(name).copied().unwrap_or_default();
        let closed = count("order_completed") + count("order_cancelled");
        assert_eq!(
            (count("order_placed"), closed),
            (1, 1),
            "O-{number} is placed and closed once: {kinds:?}"
        );
        let paid = count("payment_accepted") - count("payment_refunded");
        assert!(count("payment_accepted") <= 1, "O-{number} is paid once: {kinds:?}");
        assert_eq!(
            paid,
            count("order_completed"),
            "O-{number} is paid if it is completed: {kinds:?}"
        );
        assert_eq!(
            count("shipment_dispatched"),
            count("order_completed"),
            "O-{number}: {kinds:?}"
        );
        assert_eq!(count("confirmation_noted"), 1, "O-{number} is confirmed: {kinds:?}");
    }
}

/// Checks that pieces are kept for the orders that were shipped and for no others, and never more than are there.
#[track_caller]
fn check_stock(log: &[RecordedEvent]) {
    let (mut left, mut kept) = (HashMap::<String, i64>::new(), HashMap::<String, i64>::new());
    for event in log.iter().filter(|event| event.stream.category() == "stock") {
        let payload: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
        let quantity = payload["quantity"].as_i64().unwrap();
        let left = left.entry(event.stream.id().to_owned()).or_default();
        *left += if event.name == "pieces_reserved" {
            -quantity
        } else {
            quantity
        };
        assert!(*left >= 0, "{}", event.stream);
        if let Some(order) = payload["order"].as_u64() {
            let sign = if event.name == "pieces_reserved" { 1 } else { -1 };
            *kept.entry(order.to_string()).or_default() += sign;
        }
    }
    for event in log.iter().filter(|event| event.name == "order_completed") {
        let number = event.stream.id().trim_start_matches("O-").to_owned();
        assert_eq!(kept.remove(&number), Some(1), "{} has its pieces", event.stream);
    }
    assert!(
        kept.values().all(|kept| *kept == 0),
        "nothing is kept for others: {kept:?}"
    );
}

/// Each order has a mail under the id of its event, which says the same if it came again. Some did: the server breaks off now and then.
#[track_caller]
fn check_mails(log: &[RecordedEvent], mails: &[Mail]) {
    let mut different: HashMap<&str, &Mail> = HashMap::new();
    for mail in mails {
        let before = different.insert(mail.header("Message-ID"), mail);
        assert!(
            before.is_none_or(|before| before == mail),
            "{mail:?}, and before {before:?}"
        );
    }
    assert!(different.len() < mails.len(), "some come again");
    for event in log.iter().filter(|event| event.name == "order_placed") {
        let payload: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
        let customer = payload["customer"].as_str().unwrap();
        let mail = different.remove(format!("<{}@orders.example>", event.id).as_str());
        let expected =
            (!customer.starts_with("nobody@")).then(|| (customer, format!("Your order {}", event.stream.id())));
        let found = mail.map(|mail| (mail.to.as_str(), mail.header("Subject").to_owned()));
        assert_eq!(found, expected, "{}", event.stream);
    }
    assert!(different.is_empty(), "mails of no order: {different:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_settled_once() {
    let desk = Desk::new().await;
    let first = desk.play().await;
    let events = log(&desk.file()).await;
    check_orders(&events);
    check_stock(&events);
    let mails = desk.sink.mails(0);
    check_mails(&events, &mails);
    for outcome in [
        "completed",
        "cancelled: no such street",
        "cancelled: not paid in time",
        "cancelled: sold out",
        "cancelled: the bank declines",
    ] {
        assert!(
            first.lines().any(|line| line.starts_with(outcome)),
            "{outcome}: {first}"
        );
    }
    assert_eq!(desk.play().await, first);
    assert_eq!(log(&desk.file()).await.len(), events.len());
    assert_eq!(desk.sink.mails(0), mails, "no mail is sent again");
}

/// No order is lost, none is paid twice, and a mail that comes again has the same id, whatever was going on at each kill.
#[tokio::test(flavor = "multi_thread")]
async fn orders_that_were_killed_are_settled() {
    let desk = Desk::new().await;
    for (progress, least) in [
        (" orders placed", 50),
        (" orders settled", 20),
        (" orders settled", 120),
    ] {
        desk.play_until(progress, least).await;
    }
    desk.play().await;
    let events = log(&desk.file()).await;
    check_orders(&events);
    check_stock(&events);
    check_mails(&events, &desk.sink.mails(0));
}
