use std::sync::Arc;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, future};

use super::{ArchiveStore, RecordedAppend, RestoreAppendError};
use crate::store::{AppendError, Limits, Positions};
use crate::{ExpectedVersion, Position, StoreError, StoreErrorKind, Timestamp};

/// The archive of a store, with the checks that are the same for every store.
pub(in crate::store) struct CheckedArchive {
    pub(in crate::store) store: Arc<dyn ArchiveStore>,
    pub(in crate::store) limits: Limits,
    pub(in crate::store) numbering: Positions,
}

#[async_trait]
impl ArchiveStore for CheckedArchive {
    fn appends(&self) -> BoxStream<'_, Result<RecordedAppend, StoreError>> {
        let mut end = End::default();
        let checked = self.store.appends().map(move |append| {
            let append = append?;
            end.take(&append, self.numbering)?;
            Ok(append)
        });
        // Nothing comes behind the first error.
        let until_error = checked.scan(false, |has_failed, append: Result<_, StoreError>| {
            let is_over = std::mem::replace(has_failed, append.is_err());
            future::ready((!is_over).then_some(append))
        });
        until_error.boxed()
    }

    async fn restore(&self, appends: Vec<RecordedAppend>) -> Result<(), RestoreAppendError> {
        let mut last: Option<&RecordedAppend> = None;
        let mut last_event = Timestamp::MIN;
        for append in &appends {
            self.check(append)?;
            append.check_time(last_event)?;
            if let Some(last) = last {
                let position = Position(last.position.0.saturating_add(append.events()));
                if position != append.position {
                    return Err(RestoreAppendError::Misplaced {
                        append: append.append.id,
                        expected: append.position,
                        actual: position,
                    });
                }
            }
            if append.events() > 0 {
                last_event = append.recorded_at;
            }
            last = Some(append);
        }
        if appends.is_empty() {
            return Ok(());
        }
        self.store.restore(appends).await
    }
}

impl CheckedArchive {
    /// Checks what a writer's append is checked for, and that it says exactly where it goes.
    fn check(&self, recorded: &RecordedAppend) -> Result<(), RestoreAppendError> {
        let append = &recorded.append;
        let refused = |error| RestoreAppendError::refused(append.id, error);
        self.limits.check(append).map_err(refused)?;
        let is_exact = |expected| matches!(expected, ExpectedVersion::Exact(_));
        match append.streams.iter().find(|part| !is_exact(part.expected)) {
            Some(part) => Err(refused(AppendError::invalid(format!(
                "it expects {} of `{}`, and an append is restored at an exact version",
                part.expected, part.stream
            )))),
            None => Ok(()),
        }
    }
}

/// The end of what was read.
#[derive(Default)]
struct End {
    position: Position,
    recorded_at: Option<Timestamp>,
}

impl End {
    /// Goes on behind the append, if it comes in order.
    fn take(&mut self, append: &RecordedAppend, numbering: Positions) -> Result<(), StoreError> {
        let events = append.events();
        let corrupt = |what: String| {
            let message = format!(
                "the log cannot be read in order: {what}. Events are missing or damaged: stop, keep a copy, and look at it"
            );
            StoreError::new(StoreErrorKind::Corrupt, message)
        };
        let next = self.position.0.saturating_add(events);
        let is_in_place = match numbering {
            Positions::Gapless => append.position.0 == next,
            Positions::Rising => append.position.0 >= next,
        };
        if !is_in_place {
            return Err(corrupt(format!(
                "append {} with {events} events ends at position {}, behind an append that ends at {}",
                append.append.id, append.position, self.position
            )));
        }
        if events > 0 {
            if let Some(before) = self.recorded_at.filter(|before| *before > append.recorded_at) {
                return Err(corrupt(format!(
                    "append {} was recorded at {}, but the one before it at {before}",
                    append.append.id, append.recorded_at
                )));
            }
            self.recorded_at = Some(append.recorded_at);
        }
        self.position = append.position;
        Ok(())
    }
}
