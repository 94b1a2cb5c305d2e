//! Processes of their own, to be killed.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A process that runs one test of this file of tests, which is to tell by its environment that it is one. It is killed in the end.
pub struct Process {
    child: Child,
    said: Receiver<String>,
}

impl Process {
    /// Starts the process, and waits until it says `ready` in a line of its own.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start<'a>(test: &str, environment: impl IntoIterator<Item = (&'a str, &'a str)>, ready: &str) -> Self {
        let program = std::env::current_exe().expect("this test has a program");
        let mut child = Command::new(program)
            .args(["--exact", test, "--nocapture"])
            .envs(environment)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the process starts");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let (sender, said) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let process = Self { child, said };
        process.says(ready, Duration::from_secs(60));
        process
    }

    /// Whether it says so within the time.
    pub fn says(&self, word: &str, within: Duration) -> bool {
        let until = Instant::now() + within;
        while let Ok(line) = self.said.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if line.trim() == word {
                return true;
            }
        }
        false
    }

    /// SIGKILL, this long after it has said that it [owns](life) what it is to run.
    ///
    /// # Panics
    ///
    /// If it never does, or cannot be killed.
    pub async fn kill_as_owner(self, after: Duration) {
        let owns = self.says(OWNER, Duration::from_secs(60));
        assert!(owns, "the lease of the one before has run out");
        tokio::time::sleep(after).await;
        self.kill();
    }

    /// SIGKILL.
    ///
    /// # Panics
    ///
    /// If it cannot be killed.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

/// The line of a process that has come to own what it is to run.
const OWNER: &str = "owner";

/// The life of a process that is to be killed: says so whenever it comes to own what it is to run. Bounded, should nobody kill it.
pub async fn life(mut owns: impl AsyncFnMut() -> bool) {
    let mut owned = false;
    for _ in 0..6_000 {
        let before = std::mem::replace(&mut owned, owns().await);
        if owned && !before {
            println!("\n{OWNER}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
