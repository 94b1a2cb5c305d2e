//! Compares the events or commands of an aggregate, and the shapes of an event, while they are compiled.

use super::Repeated;
use crate::{EventInfo, Stored};

/// An event of an aggregate.
pub struct Named {
    /// Its variant in the enum of all events, or the last segment of its path.
    pub variant: &'static str,
    pub info: EventInfo,
    /// The newer shape that comes from it.
    pub old_shape_of: Option<&'static str>,
}

/// Says of every type that it is no old shape. An old shape says otherwise by a constant of its own, which comes before that of
/// a trait.
pub trait NewestShape {
    const OLD_SHAPE_OF_ONE_EVENT: Option<&'static str> = None;
}

impl<T> NewestShape for T {}

/// Fails to compile if an event before `own` is stored under one of its names, or if it is not the newest shape.
#[track_caller]
pub const fn assert_unique_event(aggregate: &str, events: &[Named], repeated: &Repeated, own: &Named) {
    assert_newest(own);
    if !repeated.has(own.info.name) && !repeated.has_any(own.info.aliases) {
        return;
    }
    let mut other = 0;
    while !equal(events[other].variant, own.variant) {
        assert_apart(aggregate, &events[other], own);
        other += 1;
    }
}

#[track_caller]
const fn assert_newest(event: &Named) {
    if let Some(newest) = event.old_shape_of {
        let mut message = Message::new();
        message.push(&["`", event.variant, "` is an older shape of event `", newest]);
        message.push(&["`, and is read as that: take `", newest, "` here"]);
        panic!("{}", message.text());
    }
}

#[track_caller]
const fn assert_apart(aggregate: &str, first: &Named, second: &Named) {
    let mut message = Message::new();
    message.push(&[
        "events `",
        first.variant,
        "` and `",
        second.variant,
        "` of aggregate `",
        aggregate,
    ]);
    if equal(first.info.name, second.info.name) {
        message.push(&["` are both named \"", second.info.name]);
        if first.info.shape_version == second.info.shape_version {
            message.push(&["\": give one of them another `name = \"…\"`"]);
        } else {
            message.push(&["\": if one is an older shape of the other, name it in the other's `from = …` and remove its method here"]);
        }
    } else if contains(second.info.aliases, first.info.name) {
        message.push(&[
            "` are both read from \"",
            first.info.name,
            "\": it is the name of `",
            first.variant,
        ]);
        message.push(&["`, so remove the alias of `", second.variant, "`"]);
    } else if contains(first.info.aliases, second.info.name) {
        message.push(&[
            "` are both read from \"",
            second.info.name,
            "\": it is an alias of `",
            first.variant,
        ]);
        message.push(&[
            "`, so remove that, or give `",
            second.variant,
            "` another `name = \"…\"`",
        ]);
    } else {
        let mut alias = 0;
        while alias < second.info.aliases.len() {
            if contains(first.info.aliases, second.info.aliases[alias]) {
                message.push(&[
                    "` have both the alias \"",
                    second.info.aliases[alias],
                    "\": keep one of them",
                ]);
                panic!("{}", message.text());
            }
            alias += 1;
        }
        return;
    }
    panic!("{}", message.text());
}

/// Fails to compile if `Old` is not the shape before `New`, of the same name. Both are passed by type and by name.
#[track_caller]
pub const fn assert_chain<New: Stored, Old: super::OldShape<New>>(attribute: &str, new: &str, old: &str) {
    let mut message = Message::new();
    if !equal(New::NAME, Old::NAME) {
        message.push(&["`", old, "` is named \"", Old::NAME, "\", but comes before `", new]);
        message.push(&[
            "`, which is named \"",
            New::NAME,
            "\": write `#[",
            attribute,
            "(name = \"",
            New::NAME,
            "\", …)]` above `",
            old,
            "`",
        ]);
    } else if !Old::ALIASES.is_empty() {
        message.push(&[
            "`",
            old,
            "` is an older shape and has an alias: put it on the newest one, where it holds for all",
        ]);
    } else if Old::SHAPE_VERSION >= New::SHAPE_VERSION {
        message.push(&["`", new, "` is version "]);
        message.push_number(New::SHAPE_VERSION);
        message.push(&[" and comes from `", old, "`, which is version "]);
        message.push_number(Old::SHAPE_VERSION);
        message.push(&[": an older shape has a lower version, so write `version = "]);
        message.push_number(Old::SHAPE_VERSION + 1);
        message.push(&["` above `", new, "`, or name another shape"]);
    } else if New::SHAPE_VERSION - Old::SHAPE_VERSION > 1 {
        message.push(&["`", new, "` is version "]);
        message.push_number(New::SHAPE_VERSION);
        message.push(&[" and comes from `", old, "`, which is version "]);
        message.push_number(Old::SHAPE_VERSION);
        message.push(&[": nothing reads version "]);
        message.push_number(Old::SHAPE_VERSION + 1);
        message.push(&[", so come from a shape with `version = "]);
        message.push_number(New::SHAPE_VERSION - 1);
        message.push(&["`"]);
    } else {
        return;
    }
    panic!("{}", message.text());
}

const fn contains(names: &[&str], name: &str) -> bool {
    let mut index = 0;
    while index < names.len() {
        if equal(names[index], name) {
            return true;
        }
        index += 1;
    }
    false
}

/// Fails to compile if a command before `variant` has its name. `names` holds each variant with its name.
#[track_caller]
pub const fn assert_unique_command(
    aggregate: &str,
    names: &[(&str, &str)],
    repeated: &Repeated,
    (variant, name): (&str, &str),
) {
    if !repeated.has(name) {
        return;
    }
    let mut other = 0;
    while !equal(names[other].0, variant) {
        if equal(names[other].1, name) {
            let mut message = Message::new();
            message.push(&[
                "commands `",
                names[other].0,
                "` and `",
                variant,
                "` of aggregate `",
                aggregate,
            ]);
            message.push(&[
                "` are both named \"",
                name,
                "\": give one of them another `name = \"…\"`",
            ]);
            panic!("{}", message.text());
        }
        other += 1;
    }
}

const fn equal(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut index = 0;
    while index < left.len() && index < right.len() && left[index] == right[index] {
        index += 1;
    }
    index == left.len() && index == right.len()
}

/// Text that is built while compiling, where there is no `format!`. What does not fit is left out.
struct Message {
    bytes: [u8; 1024],
    length: usize,
}

impl Message {
    const fn new() -> Self {
        Self {
            bytes: [0; 1024],
            length: 0,
        }
    }

    const fn push(&mut self, parts: &[&str]) {
        let mut part = 0;
        while part < parts.len() {
            let bytes = parts[part].as_bytes();
            let mut index = 0;
            while index < bytes.len() && self.length < self.bytes.len() {
                self.bytes[self.length] = bytes[index];
                self.length += 1;
                index += 1;
            }
            part += 1;
        }
    }

    const fn push_number(&mut self, number: u32) {
        if number >= 10 {
            self.push_number(number / 10);
        }
        let digit = b'0' + (number % 10) as u8;
        self.push(&[match std::str::from_utf8(&[digit]) {
            Ok(digit) => digit,
            Err(_) => "",
        }]);
    }

    const fn text(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.length).0) {
            Ok(text) => text,
            Err(_) => "two items have the same name",
        }
    }
}
