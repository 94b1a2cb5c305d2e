//! The program from end to end: a day is played, killed, and played on.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use es_runtime::store::ReadLog;
use es_runtime::{EventStore as _, Timestamp};
use es_sqlite::SqliteStore;
use futures_util::TryStreamExt as _;
use tempfile::TempDir;

/// A directory in which the program runs, and leaves its `kanban.db`.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kanban"));
        command.args(arguments).current_dir(&self.0).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Plays the day until this hour strikes, and kills the program there.
    fn play_until(&self, hour: &str) {
        let mut child = self
            .command(&[])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let struck = lines.map(Result::unwrap).find(|line| line.contains(hour));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(struck.is_some(), "the day ended before {hour}");
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.path().join("kanban.db")
    }
}

/// The time of each event, in the order of the log.
async fn times(file: &Path) -> Vec<Timestamp> {
    let store = SqliteStore::open(file).await.unwrap();
    let events: Vec<_> = store.read_log(ReadLog::new()).try_collect().await.unwrap();
    store.close().await.unwrap();
    events.iter().map(|event| event.recorded_at).collect()
}

#[test]
fn a_day_is_played_once() {
    let desk = Desk::new();
    let first = desk.ok(&[]);
    let again = desk.ok(&[]);
    let (board, _) = first.rsplit_once("\n\n").unwrap();
    let (board_again, said) = again.rsplit_once("\n\n").unwrap();
    assert_eq!(board_again, board);
    assert!(said.starts_with("0 steps done, 0 refused"), "{said}");
    assert_eq!(desk.ok(&["board", "WEB"]).trim_end(), board.trim_end());
}

/// No step is missing, none is done twice, and none that was refused is done when it comes round again.
#[tokio::test]
async fn a_day_that_was_killed_goes_on() {
    let (whole, killed) = (Desk::new(), Desk::new());
    let played = whole.ok(&[]);
    let (board, _) = played.rsplit_once("\n\n").unwrap();
    for hour in ["T09", "T11", "T12", "T16"] {
        killed.play_until(hour);
        let so_far = times(&killed.file()).await;
        let last = so_far.last().unwrap().to_string();
        // The cards on the board now stood there at that time.
        let now = killed.ok(&["board", "WEB"]);
        assert_eq!(whole.ok(&["board", "WEB", "--at", &last]), now, "at {last}");
    }
    let (rest, _) = killed
        .ok(&[])
        .rsplit_once("\n\n")
        .map(|(board, said)| (board.to_owned(), said.to_owned()))
        .unwrap();
    assert_eq!(rest, board);
    assert_eq!(times(&killed.file()).await, times(&whole.file()).await);
}

#[test]
fn people_are_kept_without_a_history() {
    let desk = Desk::new();
    desk.ok(&[]);
    assert!(
        desk.fails(&["assign", "WEB-1", "mary"])
            .contains("nobody is called mary")
    );
    desk.ok(&["person", "mary", "Mary"]);
    let people = desk.ok(&["person", "mary", "Mary Shelley"]);
    assert!(people.contains("mary          Mary Shelley\n"), "{people}");
    let story = desk.ok(&["assign", "WEB-1", "mary"]);
    assert!(story.ends_with("given to mary\n"), "{story}");
    let people = desk.ok(&["person", "mary", "--remove"]);
    assert!(!people.contains("mary"), "{people}");
    assert_eq!(desk.ok(&["people"]), people);
    assert!(
        desk.fails(&["person", "mary", "--remove"])
            .contains("nobody is called mary")
    );
}

#[test]
fn mistakes_are_told_in_the_words_of_the_board() {
    let desk = Desk::new();
    assert!(desk.fails(&["board", "WEB"]).contains("`kanban.db` does not exist"));
    assert!(!desk.file().exists());
    desk.ok(&[]);
    let told = |arguments: &[&str], expected: &str| {
        let said = desk.fails(arguments);
        assert_eq!(said, format!("error: {expected}\n"));
    };
    told(&["board", "API"], "there is no board API");
    told(
        &["board", "WEB", "--at", "07:59"],
        "there was no board WEB at that time",
    );
    told(&["card", "WEB-9999"], "there is no card WEB-9999");
    told(&["move", "WEB-9999", "Done"], "there is no card WEB-9999");
    told(&["move", "WEB-1", "Nowhere"], "there is no column WEB/Nowhere");
    told(&["write", "API/Backlog", "A card"], "there is no board API");
}

#[test]
fn a_full_column_takes_no_card() {
    let desk = Desk::new();
    desk.ok(&[]);
    let mut refused = None;
    for _ in 0..10 {
        let card = desk.ok(&["write", "WEB/Backlog", "One more"]);
        let moved = desk.run(&["move", card.trim(), "Review"]);
        if !moved.status.success() {
            refused = Some((card, moved));
            break;
        }
    }
    let (card, moved) = refused.expect("more cards than fit were moved there");
    assert_eq!(
        String::from_utf8(moved.stderr).unwrap(),
        "error: column WEB/Review is full: its limit is 3\n"
    );
    // It was taken out of nowhere.
    assert_eq!(desk.ok(&["card", card.trim()]).lines().count(), 1);
}

#[test]
fn an_operator_finds_everything_that_has_happened() {
    let desk = Desk::new();
    assert!(desk.fails(&["status"]).contains("`kanban.db` does not exist"));
    assert!(!desk.file().exists());
    desk.ok(&[]);
    let status = desk.ok(&["status"]);
    assert!(status.starts_with("the log is at position 24"), "{status}");
    assert!(status.contains("boards@1  projection  in memory"), "{status}");
    let moved = desk.ok(&["events", "--type", "card_moved", "--stream", "card/WEB-12", "--json"]);
    assert!(moved.lines().count() > 2, "{moved}");
    let history = desk.ok(&["history", "card/WEB-12", "--diff"]);
    assert!(
        history.contains("      - column: \"Backlog\",\n      + column: \"Ready\",\n"),
        "{history}"
    );
    let given = desk.ok(&["dry-run", "card/WEB-12", "assign_card", r#"{"to": "ada"}"#]);
    assert_eq!(given, "WOULD BE       DATA\ncard_assigned  {\"to\":\"ada\"}\n");
    assert!(desk.ok(&["verify"]).ends_with(" 0 streams cannot be\n"));
}
