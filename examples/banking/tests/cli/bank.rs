//! Runs the program as its users do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// A directory in which the program runs, and leaves its `bank.db` unless it is told of another store.
pub(crate) struct Bank {
    directory: PathBuf,
    store: Option<String>,
}

impl Bank {
    /// An empty directory. Each test names its own.
    pub(crate) fn new(name: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        Self { directory, store: None }
    }

    /// The same in this store.
    #[cfg(feature = "postgres")]
    pub(crate) fn on(mut self, store: String) -> Self {
        self.store = Some(store);
        self
    }

    /// The bank after an undisturbed import of the shipped ledger, and the summary of that import.
    pub(crate) fn imported() -> &'static (Self, Value) {
        static IMPORTED: OnceLock<(Bank, Value)> = OnceLock::new();
        IMPORTED.get_or_init(|| {
            // Each process its own, as each test may run in one.
            let bank = Bank::new(&format!("imported-{}", std::process::id()));
            let summary = bank.json(&[]);
            (bank, summary)
        })
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.directory.join(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_banking"));
        command
            .args(self.store.iter().flat_map(|store| ["--store", store]))
            .args(arguments)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What the command prints, if it succeeds.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The document that the command prints with `--json`, if it succeeds.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let printed = self.ok(&[&["--json"], arguments].concat());
        serde_json::from_str(&printed).unwrap()
    }

    /// What the command says on stderr, if it fails with this exit status and says nothing on stdout.
    #[track_caller]
    pub(crate) fn fails(&self, status: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// All accounts: number, owner, balance, version.
    pub(crate) fn accounts(&self) -> Value {
        self.json(&["accounts"])
    }
}

/// The sum of what `banking totals` says of each day: a number, or an amount of money in cents.
pub(crate) fn total(days: &Value, what: &str) -> i64 {
    let days = days.as_array().unwrap().iter();
    days.map(|day| match day[what].as_str() {
        Some(amount) => amount.replace('.', "").parse().unwrap(),
        None => day[what].as_i64().unwrap(),
    })
    .sum()
}
