use std::fmt;
use std::io::{self, Write as _};
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::Fixture;
use crate::capability::Capability;
use crate::check::{Checked, Stop};
use crate::scale::scaled;
use crate::subject::Subject;

/// One promise of the contract, and how to see whether a store keeps it.
pub struct Case {
    pub(crate) name: &'static str,
    pub(crate) promise: &'static str,
    pub(crate) needs: &'static [Capability],
    pub(crate) check: for<'a> fn(&'a Subject<'a>) -> BoxFuture<'a, Checked>,
}

/// The verdict of a case on a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The promise is kept.
    Kept,
    /// The case does not apply, because of this.
    Skipped(String),
    /// The promise is broken: the case, the promise, what was expected and what came.
    Broken(String),
}

impl Case {
    /// Its name with its id in front, `a01_append_first_event_to_new_stream`: the name of its test.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its id in the list of the contract: `A01`.
    pub fn id(&self) -> String {
        self.name.split('_').next().unwrap_or_default().to_uppercase()
    }

    /// Returns the promise that the case checks.
    pub fn promise(&self) -> &'static str {
        self.promise
    }

    /// The capabilities without which it does not apply.
    pub fn needs(&self) -> &'static [Capability] {
        self.needs
    }

    /// Tries the promise on the store of `fixture`, which is to be empty.
    ///
    /// Cases that need a second process are skipped: only [`suite!`](crate::suite) has a program to start it with.
    pub async fn check(&self, fixture: &dyn Fixture) -> Verdict {
        self.check_with(fixture, None).await
    }

    async fn check_with(&self, fixture: &dyn Fixture, writer_test: Option<&str>) -> Verdict {
        if let Some(missing) = self.needs.iter().find(|need| !fixture.capabilities().contains(need)) {
            return Verdict::Skipped(missing.to_string());
        }
        let subject = Subject::new(fixture, writer_test);
        match tokio::time::timeout(PATIENCE, (self.check)(&subject)).await {
            Ok(Ok(())) => Verdict::Kept,
            Ok(Err(Stop::Skipped(why))) => Verdict::Skipped(why.to_owned()),
            Ok(Err(Stop::Broken(breach))) => Verdict::Broken(self.broken(&subject, &breach)),
            Err(_) => Verdict::Broken(self.broken(
                &subject,
                &format_args!("  the case does not come to an end: the store hangs"),
            )),
        }
    }

    fn broken(&self, subject: &Subject<'_>, breach: &dyn fmt::Display) -> String {
        let (id, name) = (self.id(), &self.name[self.id().len() + 1..]);
        let (promise, seed) = (self.promise, subject.seed);
        format!("{id} {name}\n  promised: {promise}\n{breach}\n  (ES_TEST_SEED={seed})")
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

/// When a store is taken to hang. Far above what any case needs, on any machine: no case measures time.
const PATIENCE: Duration = Duration::from_secs(600);

/// Counts the verdicts of one run of the suite.
#[derive(Debug)]
pub struct Tally {
    counts: Mutex<Counts>,
}

#[derive(Debug)]
struct Counts {
    kept: usize,
    broken: usize,
    skipped: Vec<String>,
}

impl Tally {
    /// Nothing is counted yet.
    #[expect(clippy::new_without_default, reason = "it stands in a static")]
    pub const fn new() -> Self {
        Self {
            counts: Mutex::new(Counts {
                kept: 0,
                broken: 0,
                skipped: Vec::new(),
            }),
        }
    }

    /// Counts, and tells of what a test harness would not show: the skips, and the sum when the last case is done.
    fn count(&self, case: &Case, verdict: &Verdict) {
        let mut counts = self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match verdict {
            Verdict::Kept => counts.kept += 1,
            Verdict::Broken(_) => counts.broken += 1,
            Verdict::Skipped(why) => {
                tell(format_args!("{} skipped: {why}", case.name));
                counts.skipped.push(why.clone());
            }
        }
        let skipped = counts.skipped.len();
        if counts.kept + counts.broken + skipped == crate::cases().len() {
            let (kept, broken) = (counts.kept, counts.broken);
            tell(format_args!(
                "conformance: {kept} kept, {broken} broken, {skipped} skipped"
            ));
        }
    }
}

/// Prints past the test harness, which would swallow what a passing test prints with `println!`.
fn tell(line: fmt::Arguments<'_>) {
    // A closed stderr is no reason to fail.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Runs the case `name` as a test of the module `module`.
///
/// # Panics
///
/// If the promise is broken.
#[track_caller]
pub fn run_case<F: Fixture>(module: &str, name: &str, fixture: impl FnOnce() -> F, tally: &Tally) {
    let case = crate::cases()
        .iter()
        .find(|case| case.name == name)
        .unwrap_or_else(|| panic!("there is no case `{name}`"));
    let verdict = runtime().block_on(async { case.check_with(&fixture(), Some(&writer_test(module))).await });
    tally.count(case, &verdict);
    if let Verdict::Broken(why) = verdict {
        panic!("{why}\n");
    }
}

/// The name of the test that `suite!` writes beside the cases, for a second process.
fn writer_test(module: &str) -> String {
    match module.split_once("::") {
        Some((_crate, module)) => format!("{module}::writer_process"),
        None => "writer_process".to_owned(),
    }
}

/// Several threads, so that what can race does.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(scaled(2, 4))
        .enable_all()
        .build()
        .unwrap_or_else(|error| panic!("no runtime to run the case in: {error}"))
}
