//! What readers were given while others wrote.

use std::collections::HashMap;

use super::{About, Facts, Findings};
use crate::history::record::{Record, Seen};

/// Where a reader is.
#[derive(Default)]
struct Place {
    at: Option<u64>,
    /// The line of its last question.
    asked: usize,
}

impl Facts<'_> {
    pub(super) fn readers(&self) -> Findings {
        let mut findings = Findings::default();
        self.tails(&mut findings);
        self.deliveries(&mut findings);
        findings
    }

    /// Who reads the log sees each event once, in order, and no later than its append was acknowledged.
    fn tails(&self, findings: &mut Findings) {
        let mut places: HashMap<&str, Place> = HashMap::new();
        for (line, record) in self.history.records.iter().enumerate() {
            match record {
                Record::Reads { reader, from } => {
                    let place = places.entry(reader).or_default();
                    place.asked = line;
                    // It begins at the head.
                    place.at.get_or_insert(*from);
                }
                Record::Read { reader, events } => {
                    let Some(Place { at: Some(at), asked }) = places.get_mut(&**reader) else {
                        continue;
                    };
                    for seen in events {
                        *at += 1;
                        if !self.is_stored(seen, *at) {
                            let found = format!("line {line}: {reader} was given {seen:?} behind position {}", *at - 1);
                            let promise = "a reader of the log sees each event once, in order";
                            findings.add(self, promise, found, About::Position(*at));
                            *at = seen.0;
                        }
                    }
                    let acknowledged = self.timeline.acknowledged(*asked);
                    if *at < acknowledged {
                        let found =
                            format!("line {line}: {reader} ends at {at}, but {acknowledged} was acknowledged before");
                        let promise = "what is acknowledged is visible to every later read";
                        findings.add(self, promise, found, About::Position(*at));
                    }
                }
                _ => {}
            }
        }
    }

    /// A subscription is given each event at least once, and none before those before it.
    fn deliveries(&self, findings: &mut Findings) {
        let mut subscriptions: HashMap<&str, u64> = HashMap::new();
        for (line, record) in self.history.records.iter().enumerate() {
            let Record::Delivered { subscription, event } = record else {
                continue;
            };
            let done = subscriptions.entry(subscription).or_default();
            if event.0 > *done + 1 || !self.is_stored(event, event.0) {
                let found = format!("line {line}: `{subscription}` was given {event:?} behind position {done}");
                let promise = "a subscription is given each event, in order";
                findings.add(self, promise, found, About::Position(*done));
            }
            *done = event.0.max(*done);
        }
        for (subscription, done) in subscriptions {
            let head = self.history.stored.head;
            if done != head {
                let found = format!("`{subscription}` ends at {done} of {head}");
                findings.add(self, "a subscription is given each event", found, About::Position(done));
            }
        }
    }

    /// Whether this is the event at this position.
    fn is_stored(&self, seen: &Seen, position: u64) -> bool {
        let index = usize::try_from(position)
            .ok()
            .and_then(|position| position.checked_sub(1));
        let event = index.and_then(|index| self.history.stored.log.get(index));
        event.is_some_and(|event| event.seen == *seen)
    }
}
