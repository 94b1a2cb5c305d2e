use std::pin::pin;

use foldhash::fast::RandomState;
use futures_core::Stream;
use futures_util::StreamExt as _;
use lru::LruCache;
use uuid::Uuid;

use super::batch::{self, Batch, Most, Part};
use super::stored::{Fault, Found, Known, find};
use super::{ImportError, ImportItem, Imported, Progress, Refusal};
use crate::runtime::write::{Committed, Failing, commit, lost};
use crate::runtime::{Receipt, Runtime, enclosing};
use crate::store::AppendError;
use crate::{AppendId, ExecuteError, Misapplied, StreamId, Version, metrics};

/// Keys the ids of imports, so that they are equal only to others of this form.
const IMPORT: Uuid = Uuid::from_u128(0x3c86_27f1_a0d4_4e6b_8f59_1b7a_c2e0_94d3);

/// One run of an import.
///
/// The events of an import are numbered through, and their ids are made of its name and their numbers. So each stored
/// event shows whether it belongs to this import, and which one it is.
pub(super) struct Importer<'a> {
    runtime: &'a Runtime,
    id: AppendId,
    most: Most,
    progress: Progress<'a>,
    imported: Imported,
    /// The versions up to which streams are imported by this run, or were by one before.
    known: LruCache<StreamId, Version, RandomState>,
    has_forgotten: bool,
}

impl<'a> Importer<'a> {
    pub(super) fn new(runtime: &'a Runtime, name: &str, most: Most, progress: Progress<'a>) -> Self {
        Self {
            runtime,
            id: AppendId(Uuid::new_v5(&IMPORT, name.as_bytes())),
            most: most.within(runtime.0.store.limits()),
            progress,
            imported: Imported::default(),
            known: LruCache::with_hasher(most.streams, RandomState::default()),
            has_forgotten: false,
        }
    }

    pub(super) async fn run<S: Stream<Item: ImportItem>>(mut self, items: S) -> Result<Imported, ImportError> {
        let mut items = pin!(items);
        let mut batch = Batch::default();
        let mut next = 0;
        while let Some(given) = items.next().await {
            let item = self.imported.items + 1;
            let past = match given.into_past() {
                Ok(past) => past.0,
                Err(source) => {
                    self.flush(&mut batch).await?;
                    return Err(ImportError::Source { item, source });
                }
            };
            let stream = past.stream().clone();
            let mut events = match past.write(&self.runtime.0.caps, self.id, next) {
                Ok(events) => events,
                Err(source) => {
                    self.flush(&mut batch).await?;
                    return Err(refuse(item, &stream, source));
                }
            };
            let end = next + events.new.len() as u64;
            while next < end {
                batch.add(item, &stream, next, &mut events, self.most);
                next = end - events.new.len() as u64;
                if next < end {
                    self.flush(&mut batch).await?;
                }
            }
            self.imported.items = item;
        }
        self.flush(&mut batch).await?;
        Ok(self.imported)
    }

    /// Stores the batch.
    async fn flush(&mut self, batch: &mut Batch) -> Result<(), ImportError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut parts = batch.take();
        let events: usize = parts.iter().map(|part| part.events.len()).sum();
        match self.store(&mut parts).await {
            Err(fault) if fault.is_of_an_item() && parts.len() > 1 => {
                // One after the other, so that those before the one at fault are stored, and it is named.
                for part in parts {
                    self.store(&mut vec![part]).await?;
                }
            }
            stored => stored?,
        }
        self.imported.events += events as u64;
        (self.progress)(self.imported);
        Ok(())
    }

    /// Appends the events of the parts that are not stored yet. After an error `parts` holds those that remain.
    async fn store(&mut self, parts: &mut Vec<Part>) -> Result<(), ImportError> {
        for part in &*parts {
            enclosing::check(self.runtime, &part.stream).map_err(|error| refuse(part.item, &part.stream, error))?;
        }
        let mut is_doubted = self.is_doubtful(parts);
        let mut attempts = 1;
        loop {
            if is_doubted {
                self.compare(parts).await?;
            }
            let Some(&Part { item, ref stream, .. }) = parts.first() else {
                return Ok(());
            };
            let append = batch::append(self.id, parts, |stream| {
                self.known.peek(stream).copied().unwrap_or_default()
            });
            // An import that is run again goes on, and stores nothing twice.
            let failing = Failing {
                attempts,
                demanded: false,
                keyed: true,
            };
            let failure = match commit(self.runtime, append).await {
                Ok(Committed::Stored(appended)) => {
                    for receipt in Receipt::of(appended) {
                        metrics::stored(receipt.stream.category(), &receipt);
                        self.imported.stored += if receipt.repeated { 0 } else { receipt.events as u64 };
                        self.imported.position = self.imported.position.max(receipt.position);
                        self.know(receipt.stream, receipt.version);
                    }
                    return Ok(());
                }
                Ok(Committed::Not) => lost().into(),
                // An earlier run, which had made other batches of the items; or somebody else.
                Err(AppendError::Conflict { .. } | AppendError::IdempotencyMismatch { .. }) if !is_doubted => {
                    is_doubted = true;
                    continue;
                }
                Err(error @ (AppendError::Conflict { .. } | AppendError::IdempotencyMismatch { .. })) => {
                    failing.with(error)
                }
                Err(error) => {
                    return Err(match failing.with(error) {
                        error @ (ExecuteError::Invalid(_)
                        | ExecuteError::Append(
                            AppendError::LimitExceeded(_) | AppendError::ProjectionFailed { .. },
                        )) => refuse(item, stream, error),
                        error => failed(item, error),
                    });
                }
            };
            if !self.runtime.0.retry.allows_another(attempts) {
                return Err(failed(item, failure));
            }
            self.runtime.0.retry.pause(attempts).await;
            attempts += 1;
        }
    }

    /// Returns whether to compare with stored events before an append: it cannot succeed, or the versions are not
    /// known.
    fn is_doubtful(&self, parts: &[Part]) -> bool {
        let mut streams = parts.chunk_by(|one, next| one.stream == next.stream);
        streams.any(|parts| match self.known(&parts[0].stream) {
            Known::Forgotten => true,
            Known::Nothing => misapplied(parts, Version::ZERO).is_some(),
            Known::Version(version) => misapplied(parts, version).is_some(),
        })
    }

    /// Removes what is stored from the parts, and checks that the rest folds onto it.
    async fn compare(&mut self, parts: &mut Vec<Part>) -> Result<(), ImportError> {
        let mut rest = std::mem::take(parts).into_iter().peekable();
        while let Some(part) = rest.next() {
            let mut of_stream = vec![part];
            while let Some(part) = rest.next_if(|part| part.stream == of_stream[0].stream) {
                of_stream.push(part);
            }
            let (item, stream) = (of_stream[0].item, of_stream[0].stream.clone());
            let Found { stored, version } =
                match find(self.runtime, self.id, &of_stream, &stream, self.known(&stream)).await {
                    Ok(found) => found,
                    Err(fault) => {
                        // For the caller, who may try them one by one.
                        parts.extend(of_stream.into_iter().chain(rest));
                        return Err(match fault {
                            Fault::Differs(error) => *error,
                            Fault::Load(error) => failed(item, error.into()),
                        });
                    }
                };
            self.know(stream, version);
            let mut stored = stored;
            for part in &mut of_stream {
                let gone = stored.min(part.events.len());
                part.events.drain(..gone);
                part.first += gone as u64;
                part.first_event.1 &= gone == 0;
                stored -= gone;
            }
            of_stream.retain(|part| !part.events.is_empty());
            if let Some(error) = misapplied(&of_stream, version) {
                parts.extend(of_stream.into_iter().chain(rest));
                return Err(error);
            }
            if let Some(first) = of_stream.first_mut() {
                first.behind = Some(version);
            }
            parts.extend(of_stream);
        }
        Ok(())
    }

    fn known(&self, stream: &StreamId) -> Known {
        match self.known.peek(stream) {
            Some(version) => Known::Version(*version),
            None if self.has_forgotten => Known::Forgotten,
            None => Known::Nothing,
        }
    }

    fn know(&mut self, stream: StreamId, version: Version) {
        let forgotten = self.known.push(stream.clone(), version);
        self.has_forgotten |= forgotten.is_some_and(|(forgotten, _)| forgotten != stream);
    }
}

impl ImportError {
    /// Returns whether an item is at fault.
    fn is_of_an_item(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Foreign { .. } | Self::Changed { .. })
    }
}

/// The error of the first part that does not fold onto the stream at this version, if there is one.
fn misapplied(parts: &[Part], mut version: Version) -> Option<ImportError> {
    for part in parts {
        let (name, creates) = part.first_event;
        let source = match (version > Version::ZERO, creates) {
            (true, true) => Misapplied::AlreadyCreated(name),
            (false, false) => Misapplied::NotCreated(name),
            _ => {
                version.0 += part.events.len() as u64;
                continue;
            }
        };
        let stream = part.stream.clone();
        let error = ExecuteError::Misapplied { stream, source };
        return Some(refuse(part.item, &part.stream, error));
    }
    None
}

fn refuse(item: u64, stream: &StreamId, source: ExecuteError<Refusal>) -> ImportError {
    ImportError::Refused {
        item,
        stream: stream.clone(),
        source: Box::new(source),
    }
}

fn failed(item: u64, source: ExecuteError<Refusal>) -> ImportError {
    ImportError::Failed {
        item,
        source: Box::new(source),
    }
}
