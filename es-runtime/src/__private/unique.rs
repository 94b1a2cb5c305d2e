//! Compares the names of all events or commands of an aggregate while it is compiled.

/// Fails to compile if an event before `variant` has its name. `names` holds each variant with its name.
#[track_caller]
pub const fn assert_unique_event(aggregate: &str, names: &[(&str, &str)], variant: &str) {
    assert_unique("events", aggregate, names, variant);
}

/// Fails to compile if a command before `variant` has its name.
#[track_caller]
pub const fn assert_unique_command(aggregate: &str, names: &[(&str, &str)], variant: &str) {
    assert_unique("commands", aggregate, names, variant);
}

#[track_caller]
const fn assert_unique(nouns: &str, aggregate: &str, names: &[(&str, &str)], variant: &str) {
    let mut own = 0;
    while !equal(names[own].0, variant) {
        own += 1;
    }
    let mut other = 0;
    while other < own {
        if equal(names[other].1, names[own].1) {
            let mut message = Message::new();
            message.push(&[
                nouns,
                " `",
                names[other].0,
                "` and `",
                variant,
                "` of aggregate `",
                aggregate,
            ]);
            message.push(&[
                "` are both named \"",
                names[own].1,
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

    const fn text(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.length).0) {
            Ok(text) => text,
            Err(_) => "two items have the same name",
        }
    }
}
