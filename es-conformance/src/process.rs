//! A second process that appends to the store under test, and that can be killed.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use es_runtime::store::{Append, Checked, Demand, StateStore};
use es_runtime::{ExpectedVersion, StreamId, SystemClock, Version};

use crate::Fixture;
use crate::random::Random;
use crate::run::runtime;
use crate::sample::{stream, with_payload};
use crate::state_races::PARTS;
use crate::states::change;
use crate::subject::Store;

/// Where the store is that a writer process appends to.
const ADDRESS: &str = "ES_CONFORMANCE_ADDRESS";
/// The writer's name, which its streams begin with.
const NAME: &str = "ES_CONFORMANCE_WRITER";
/// How many appends each of its tasks does, if it is not killed before.
const APPENDS: &str = "ES_CONFORMANCE_APPENDS";
/// Set if it saves states instead.
const SAVES: &str = "ES_CONFORMANCE_SAVES";

/// How many tasks of a writer append at once.
pub(crate) const TASKS: u64 = 4;

/// The stream that every writer appends to.
pub(crate) fn shared() -> StreamId {
    stream("shared")
}

/// What a writer process said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// An append of so many events was acknowledged, with this version of the stream after it.
    Acknowledged {
        stream: StreamId,
        version: Version,
        events: u64,
        /// Whether an append of the process had failed before this one was called.
        after_failure: bool,
    },
    /// A save of all parts of an entity was acknowledged.
    Saved { entity: String, sequence: u64 },
    /// An append or a save failed.
    Failed(String),
}

impl Said {
    fn line(&self) -> String {
        match self {
            Self::Acknowledged {
                stream,
                version,
                events,
                after_failure,
            } => format!("acknowledged {} {version} {events} {after_failure}\n", stream.id()),
            Self::Saved { entity, sequence } => format!("saved {entity} {sequence}\n"),
            Self::Failed(why) => format!("failed {}\n", why.replace('\n', " ")),
        }
    }

    /// Reads a whole line; the test harness of the process writes others.
    fn parse(line: &str) -> Option<Self> {
        let line = line.strip_suffix('\n')?;
        if let Some(why) = line.strip_prefix("failed ") {
            return Some(Self::Failed(why.to_owned()));
        }
        if let Some(saved) = line.strip_prefix("saved ") {
            let (entity, sequence) = saved.split_once(' ')?;
            return Some(Self::Saved {
                entity: entity.to_owned(),
                sequence: sequence.parse().ok()?,
            });
        }
        let mut words = line.strip_prefix("acknowledged ")?.split(' ');
        Some(Self::Acknowledged {
            stream: stream(words.next()?),
            version: Version(words.next()?.parse().ok()?),
            events: words.next()?.parse().ok()?,
            after_failure: words.next()?.parse().ok()?,
        })
    }
}

/// The body of the test that is a writer process, if it was started as one.
///
/// # Panics
///
/// If it is to save states, and the store keeps none.
pub fn writer_process<F: Fixture>(fixture: impl FnOnce() -> F) {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let name = std::env::var(NAME).unwrap_or_default();
    let appends = std::env::var(APPENDS)
        .ok()
        .and_then(|appends| appends.parse().ok())
        .unwrap_or(0);
    // Ends what the test harness wrote without a line end.
    say("\n");
    runtime().block_on(async {
        if std::env::var(SAVES).is_ok() {
            let states = fixture().open_states_at(&address, Arc::new(SystemClock)).await;
            let states = states.unwrap_or_else(|| panic!("the store keeps no states"));
            let states: Arc<dyn StateStore> = Arc::new(Checked::new(states));
            let savers = (0..TASKS).map(|task| tokio::spawn(save(states.clone(), format!("{name}-{task}"), appends)));
            futures_util::future::join_all(savers).await;
            return;
        }
        let store = Store(fixture().open_at(&address, Arc::new(SystemClock)).await);
        let failed = Arc::new(AtomicBool::new(false));
        let tasks = (0..TASKS).map(|task| {
            let writer = write(store.clone(), format!("{name}-{task}"), appends, Arc::clone(&failed));
            tokio::spawn(writer)
        });
        futures_util::future::join_all(tasks).await;
    });
}

/// Appends batches of 1 to 5 events, most of them to a stream of its own where it demands the exact version, alone or as a chain,
/// and says each result.
async fn write(store: Store, name: String, appends: u64, failed: Arc<AtomicBool>) {
    let own = stream(&name);
    let mut version = Version::ZERO;
    let mut random = Random::from_seed(name.bytes().map(u64::from).sum());
    let mut number = 0;
    while number < appends {
        let length = 1 + random.below(6).saturating_sub(2).min(appends - number - 1);
        let mut expected = version;
        let chain: Vec<Append> = (number..number + length)
            .map(|number| {
                let batch = batch(&format!("{name}.{number}"), 1 + random.below(5));
                if random.below(4) == 0 {
                    return Append::new(shared(), ExpectedVersion::Any, batch);
                }
                let demanded = ExpectedVersion::Exact(expected);
                expected.0 += batch.len() as u64;
                Append::new(own.clone(), demanded, batch)
            })
            .collect();
        number += length;
        let after_failure = failed.load(Ordering::SeqCst);
        let answers = if let [append] = &chain[..] {
            vec![store.append(append.clone()).await]
        } else {
            store.append_chain(chain.clone()).await
        };
        for (append, answer) in chain.iter().zip(answers) {
            let part = &append.streams[0];
            let said = match answer {
                Ok(appended) => {
                    let reached = appended.streams[0].version;
                    if part.stream == own {
                        version = reached;
                    }
                    Said::Acknowledged {
                        stream: part.stream.clone(),
                        version: reached,
                        events: part.events.len() as u64,
                        after_failure,
                    }
                }
                Err(error) => {
                    failed.store(true, Ordering::SeqCst);
                    Said::Failed(format!("{error} ({error:?})"))
                }
            };
            say(&said.line());
        }
    }
}

/// Saves the parts of an entity together, again and again, and says each result.
async fn save(states: Arc<dyn StateStore>, entity: String, saves: u64) {
    for sequence in 1..=saves {
        let parts = PARTS.map(|part| change(&format!("{entity}{part}"), sequence, sequence));
        let said = match states.save(parts.to_vec(), Demand::Next).await {
            Ok(()) => Said::Saved {
                entity: entity.clone(),
                sequence,
            },
            Err(error) => Said::Failed(format!("{error} ({error:?})")),
        };
        say(&said.line());
    }
}

/// Events that say of which append they are and how many there are of it, so that a torn one is seen.
fn batch(append: &str, events: u64) -> Vec<es_runtime::NewEvent> {
    (0..events)
        .map(|index| with_payload(format!(r#"{{"append":"{append}","of":{events},"index":{index}}}"#)))
        .collect()
}

/// Writes at once and past the harness. Nobody to hear it means that the first process is gone.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

/// A writer process that was started.
pub(crate) struct Writer {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Writer {
    /// Starts this test program again, as the test `test` alone.
    pub(crate) fn start(
        test: &str,
        address: &str,
        name: &str,
        appends: u64,
        environment: &[(String, String)],
    ) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(ADDRESS, address)
            .env(NAME, name)
            .env(APPENDS, appends.to_string())
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self {
            child,
            lines: BufReader::new(out),
        })
    }

    /// Starts it as one that saves states.
    pub(crate) fn start_saver(test: &str, address: &str, name: &str, saves: u64) -> io::Result<Self> {
        Self::start(test, address, name, saves, &[(SAVES.to_owned(), String::new())])
    }

    /// Hears what it says, and kills it with `SIGKILL` once it has said so many things, after a moment.
    pub(crate) fn killed_after(mut self, things: usize, moment: u64) -> io::Result<Vec<Said>> {
        let mut said = Vec::new();
        while said.len() < things && self.hear(&mut said)? {}
        for _ in 0..moment {
            std::hint::spin_loop();
        }
        self.child.kill()?;
        self.hear_out(said)
    }

    /// Hears all that it says.
    pub(crate) fn heard_out(self) -> io::Result<Vec<Said>> {
        self.hear_out(Vec::new())
    }

    fn hear_out(mut self, mut said: Vec<Said>) -> io::Result<Vec<Said>> {
        while self.hear(&mut said)? {}
        self.child.wait()?;
        Ok(said)
    }

    /// Hears one line. Tells whether there was one.
    fn hear(&mut self, said: &mut Vec<Said>) -> io::Result<bool> {
        let mut line = String::new();
        let length = self.lines.read_line(&mut line)?;
        said.extend(Said::parse(&line));
        Ok(length > 0)
    }
}
