//! The words for what was found: which event, what changed, and what to write.

use std::fmt::{self, Write as _};
use std::path::Path;

use super::advice;
use super::check::{Addition, Findings, Guess, Problem};
use super::compare::{Difference, Kind};
use super::events_lock::{Cause, EventsLockError};
use super::golden::{Flaw, GoldenProblem, one_line};
use super::lock::{Key, Role};
use super::renamed::Renamed;
use super::shape::{Definition, Shape};

const ACCEPT: &str = "ES_EVENTS_LOCK=accept cargo test";

impl fmt::Display for EventsLockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.file_name().unwrap_or(self.file.as_os_str()).to_string_lossy();
        match &self.cause {
            Cause::Io { path, source } => write!(f, "`{}`: {source}", path.display()),
            Cause::Malformed(error) => write!(
                f,
                "`{}`, {error}; take the file back from git, as it is not written by hand",
                self.file.display()
            ),
            Cause::Missing => write!(
                f,
                "there is no `{}` yet: write it with `{ACCEPT}`, look at it, and put it into git",
                self.file.display()
            ),
            Cause::Findings { findings, golden } => {
                let folder = self.file.with_extension("golden");
                f.write_str(
                    &Report {
                        file: &file,
                        folder: &folder,
                    }
                    .text(findings, golden),
                )
            }
        }
    }
}

struct Report<'a> {
    file: &'a str,
    /// The folder of the golden payloads.
    folder: &'a Path,
}

impl Report<'_> {
    fn text(&self, findings: &Findings, golden: &[GoldenProblem]) -> String {
        let mut sections = Vec::new();
        for problem in &findings.problems {
            sections.push(self.problem(problem, &findings.problems));
        }
        sections.retain(|section| !section.is_empty());
        sections.extend(golden.iter().map(|problem| self.golden(problem)));
        if !findings.additions.is_empty() {
            sections.push(self.additions(&findings.additions));
        }
        format!(
            "`{}` and the events of this build differ\n\n{}",
            self.file,
            sections.join("\n")
        )
    }

    fn problem(&self, problem: &Problem, all: &[Problem]) -> String {
        let mut section = Section::default();
        match problem {
            Problem::Changed { .. } => self.changed(problem, &mut section),
            Problem::Vanished { key, stored, guess } => {
                // One message for all versions of an event.
                let newer =
                    |other: &Problem| matches!(other, Problem::Vanished { key: other, .. } if key.is_older_than(other));
                if !all.iter().any(newer) {
                    self.vanished(key, stored, guess, &mut section);
                }
            }
            Problem::AggregateVanished { category, renamed } => {
                section.line(format_args!(
                    "aggregate `{category}` is gone, and its stored events cannot be read"
                ));
                match renamed {
                    Some(name) => {
                        section.line(format_args!(
                            "  `{name}` has its events: keep the name under which they are stored, write"
                        ));
                        section.code(&[format!("#[es(name = {category:?})]")]);
                    }
                    None => section.line(format_args!("  list it in the line that checks `{}`", self.file)),
                }
            }
            Problem::WentDown { key, rust, current } => {
                section.line(format_args!(
                    "{key} is stored, but `{rust}` is only at version {current}: write `version = {}`",
                    key.version
                ));
                section.line("  a version that was used for one shape is not used for another");
            }
            Problem::VersionVanished {
                key,
                rust,
                current,
                stored,
            } => {
                section.line(format_args!(
                    "{key} can no longer be read: `{rust}` has no way from version {} to {current}",
                    key.version
                ));
                section.write(&advice::old_struct(key, rust, *current, stored));
            }
            Problem::Reused { key, rust, before } => {
                let was = match before {
                    Role::AliasOf(name) => format!("an earlier name of `{name}`"),
                    _ => "a retired event".to_owned(),
                };
                section.line(format_args!(
                    "{key} is {was}, but `{rust}` has the name now: stored {} would be read as `{rust}`",
                    key.nouns()
                ));
                section.line(format_args!(
                    "  give `{rust}` another name, `#[{}(name = \"…\")]`, and keep what read `{}`",
                    key.noun(),
                    key.name
                ));
            }
            Problem::Unknown { key, rust } => {
                section.line(format_args!(
                    "{key}: `Stored` is implemented by hand for `{rust}` and does not tell its shape, write"
                ));
                section.code(&[
                    "fn shapes(out: &mut Shapes) {".to_owned(),
                    "    out.add::<Self>(Self::NAME, Self::SHAPE_VERSION);".to_owned(),
                    "}".to_owned(),
                ]);
            }
        }
        section.text
    }

    fn changed(&self, problem: &Problem, section: &mut Section) {
        let Problem::Changed {
            key,
            rust,
            current,
            differences,
            stored,
            today,
        } = problem
        else {
            return;
        };
        let event = history_of(rust);
        section.line(format_args!(
            "{key} (`{}`) has changed, and {} are stored as it was",
            event.unwrap_or(rust),
            key.nouns()
        ));
        section.differences(differences);
        match event {
            _ if *current == key.version => {
                section.write(&advice::new_version(key, rust, differences, stored, today));
            }
            Some(event) => section.line(format_args!(
                "  version {} is the past: undo the change in the history of `{event}`",
                key.version
            )),
            None => section.line(format_args!(
                "  version {} is the past: undo the change of `{rust}`",
                key.version
            )),
        }
        if nothing_in_common(stored, differences) {
            let noun = key.noun();
            let retire = if key.is_entity() { "keep what reads" } else { "retire" };
            section.line(format_args!(
                "  or, if `{rust}` is another {noun}, give it a name of its own, `#[{noun}(name = \"…\")]`, and {retire} this one"
            ));
        }
        for difference in differences {
            if let Some(way) = advice::within(difference, differences) {
                section.line(format_args!("  {way}"));
            }
        }
        section.line(format_args!(
            "  or, if no such {} was ever stored, delete `{key}` from `{}`, and accept it anew",
            key.noun(),
            self.file
        ));
    }

    fn golden(&self, problem: &GoldenProblem) -> String {
        let GoldenProblem { key, path, flaw } = problem;
        let path = path
            .strip_prefix(self.folder.parent().unwrap_or(self.folder))
            .unwrap_or(path);
        let path = path.display();
        let mut section = Section::default();
        match flaw {
            Flaw::Missing => section.line(format_args!(
                "{key} has no golden payload: `{path}` is made by `{ACCEPT}`"
            )),
            Flaw::NotRecorded => section.line(format_args!(
                "{key} has a payload in `{path}` without what it is read as, which is recorded by `{ACCEPT}`"
            )),
            Flaw::Malformed(error) => section.line(format_args!("`{path}` cannot be read: {error}")),
            Flaw::Refused { stored, error } => {
                section.line(format_args!("{key} can no longer be read: {error}"));
                section.line(format_args!("  the payload in `{path}` is\n    {stored}"));
                section.line(format_args!(
                    "  stored {} stay as they are: let it be read as before, or from a new version on",
                    key.nouns()
                ));
            }
            Flaw::CannotBeMade { stored, error } => {
                section.line(format_args!(
                    "{key} needs a golden payload by hand: the one made from its shape is refused, {error}"
                ));
                section.line(format_args!("  write one that is valid into `{path}`, in the form"));
                section.code(&[format!("[{{ \"payload\": {stored} }}]")]);
                section.line(format_args!("  then run `{ACCEPT}`"));
            }
            Flaw::ReadsOtherwise { stored, before, after } => {
                section.line(format_args!("{key} is read as something else than before"));
                section.line(format_args!("    payload {stored}"));
                section.line(format_args!("    before  {}", one_line(before)));
                section.line(format_args!("    now     {}", one_line(after)));
                section.line(format_args!(
                    "  the past would change: undo it in what reads version {}, or begin a new version",
                    key.version
                ));
            }
            Flaw::Unstorable { stored, error } => {
                section.does_not_come_back(key, format_args!("payload {stored}"), error);
            }
            Flaw::NotReadAgain { reading, error } => {
                let reading = one_line(std::slice::from_ref(reading));
                section.does_not_come_back(key, reading, error);
            }
            Flaw::Orphan => section.line(format_args!("`{path}` is of nothing in `{}`: delete it", self.file)),
        }
        section.text
    }

    fn vanished(&self, key: &Key, stored: &Definition, guess: &Guess, section: &mut Section) {
        section.line(format_args!(
            "{key} is gone, and stored {} of this name cannot be read",
            key.nouns()
        ));
        if key.is_entity() {
            if let Guess::Renamed(renamed) = guess {
                self::renamed(key, renamed, section);
            }
            section.line(format_args!(
                "  list it in the line that checks `{}`; if none is stored any more, delete it there",
                self.file
            ));
            return;
        }
        match guess {
            Guess::Renamed(renamed) => {
                self::renamed(key, renamed, section);
                section.line("  else retire it, in the `#[aggregate]` block");
            }
            Guess::Moved { category } => section.line(format_args!(
                "  the name is used by aggregate `{category}` now, but stored events stay in the streams of `{}`: retire it there",
                key.category
            )),
            Guess::Removed => section.line("  if it is no longer written, retire it, in the `#[aggregate]` block"),
        }
        section.code(&advice::retired(key, stored));
    }

    fn additions(&self, additions: &[Addition]) -> String {
        let mut section = Section::default();
        section.line(format_args!("not in `{}` yet", self.file));
        for addition in additions {
            match addition {
                Addition::Shape(key) => section.line(format_args!("    {key}")),
                Addition::Role(key, Role::AliasOf(name)) => {
                    section.line(format_args!("    {key} as an earlier name of `{name}`"));
                }
                Addition::Role(key, _) => section.line(format_args!("    {key} as retired")),
                Addition::Grown(key, differences) => {
                    for difference in differences {
                        section.line(format_args!("    {key}: {}", change(difference)));
                    }
                }
            }
        }
        section.line(format_args!(
            "  accept with `{ACCEPT}`, and look at the difference in git"
        ));
        section.text
    }
}

fn renamed(key: &Key, renamed: &Renamed, section: &mut Section) {
    let Renamed { likely, others, rivals } = renamed;
    let list = |names: &[String]| {
        names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    if !rivals.is_empty() {
        let rivals = list(rivals);
        section.line(format_args!(
            "  gone as well, with the same shape: {rivals}. A new {} can be only one of them",
            key.noun()
        ));
    }
    if let Some(rust) = likely {
        section.line(format_args!(
            "  `{rust}` looks like it: if it has another name now, write"
        ));
        section.code(&[
            format!("#[{}(alias = {:?})]", key.noun(), key.name),
            format!("pub struct {rust} …"),
        ]);
    }
    if !others.is_empty() {
        let others = list(others);
        section.line(format_args!(
            "  new, with the same shape, the nearest name first: {others}"
        ));
        if likely.is_none() && rivals.is_empty() {
            section.line(format_args!(
                "  if it is one of them, add `#[{}(alias = {:?})]` to that one",
                key.noun(),
                key.name
            ));
        }
    }
}

/// The event of which a struct like `__OpenedV1`, which comes of the history of its fields, is an old shape.
fn history_of(rust: &str) -> Option<&str> {
    let name = rust.strip_prefix("__")?;
    name.rsplit_once('V').map(|(event, _)| event)
}

/// Returns whether no field is as it was.
fn nothing_in_common(stored: &Definition, differences: &[Difference]) -> bool {
    let Shape::Object(object) = &stored.shape else {
        return true;
    };
    let of_kind = |kind: Kind| differences.iter().filter(move |difference| difference.kind == kind);
    let gone = |name: &String| of_kind(Kind::Removed).any(|removed| removed.path == *name);
    let renamed = of_kind(Kind::Removed).any(|old| of_kind(Kind::Added).any(|new| new.after == old.before));
    !renamed && object.fields.keys().all(gone)
}

fn change(difference: &Difference) -> String {
    let Difference {
        path,
        before,
        after,
        kind,
    } = difference;
    let path = if path.is_empty() { "its data" } else { path };
    match kind {
        Kind::Default => format!("{path}, if missing: {before} → {after}"),
        _ => format!("{path}: {before} → {after}"),
    }
}

/// A part of the report.
#[derive(Default)]
struct Section {
    text: String,
}

impl Section {
    fn line(&mut self, line: impl fmt::Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    fn code(&mut self, lines: &[String]) {
        for line in lines {
            self.line(if line.is_empty() {
                String::new()
            } else {
                format!("    {line}")
            });
        }
    }

    fn does_not_come_back(&mut self, key: &Key, what: impl fmt::Display, error: &str) {
        self.line(format_args!(
            "{key} is read as {} that does not come back from a store",
            if key.is_entity() { "an entity" } else { "an event" }
        ));
        self.line(format_args!("    {what}\n    {error}"));
        self.line("  what is written and what is read must have the same form");
    }

    fn write(&mut self, lines: &[String]) {
        self.line("  write");
        self.code(lines);
    }

    fn differences(&mut self, differences: &[Difference]) {
        for difference in differences.iter().filter(|difference| difference.kind.is_breaking()) {
            self.line(format_args!("    {}", change(difference)));
        }
    }
}
