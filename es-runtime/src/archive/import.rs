use std::fmt;
use std::pin::Pin;

use futures_core::stream::BoxStream;
use futures_util::TryStreamExt as _;
use tokio::io::AsyncRead;
use tracing::Instrument as _;

use super::contents::{Record, all_states};
use super::difference::difference;
use super::export::Progress;
use super::line::Line;
use super::read::Reader;
use super::seal::Seal;
use super::{ArchiveError, Archived, Contents};
use crate::StoreError;
use crate::store::{ArchiveStore, Demand, RecordedAppend, RestoreAppendError, SaveError, StateChange};

/// Imports an archive: `archive::import(input, store).await`, with options before the `await`.
#[must_use = "nothing is imported until it is awaited"]
pub struct Import<'a, R> {
    contents: Contents,
    input: R,
    progress: Progress<'a>,
}

impl<'a, R> Import<'a, R> {
    pub(super) fn new(input: R, contents: Contents) -> Self {
        Self {
            contents,
            input,
            progress: Box::new(|_| {}),
        }
    }

    /// Calls `progress` after each batch that is stored, or compared with what is stored.
    pub fn progress(mut self, progress: impl FnMut(Archived) + Send + 'a) -> Self {
        self.progress = Box::new(progress);
        self
    }
}

/// The most records that are stored at once.
const RECORDS: usize = 1_000;
/// The most events in them, unless one append has more.
const EVENTS: u64 = 1_000;
/// The most bytes of their payloads and metadata, likewise.
const BYTES: usize = 4 << 20;

impl<R: AsyncRead + Unpin + Send> Import<'_, R> {
    async fn run(mut self) -> Result<Archived, ArchiveError> {
        let archive = self.contents.archive()?;
        let mut reader = Reader::open(self.input).await?;
        let mut stored = Some(self.contents.records(&*archive));
        let mut batch = Batch::default();
        let mut states = States::default();
        while let Some(record) = reader.next().await? {
            let line = reader.lines;
            states.take(&record);
            let there = next(&mut stored).await?;
            if there.is_some() {
                compare(line, Some(&record), there.as_ref())?;
                if line % RECORDS as u64 == 0 {
                    (self.progress)(reader.archived);
                }
                continue;
            }
            if !batch.takes(&record) {
                reader.archived.stored += batch.store(&self.contents, &*archive).await?;
                (self.progress)(Archived {
                    stored: reader.archived.stored,
                    ..batch.archived
                });
            }
            batch.add(line, record);
            batch.archived = reader.archived;
        }
        let there = next(&mut stored).await?;
        compare(reader.lines, None, there.as_ref())?;
        reader.archived.stored += batch.store(&self.contents, &*archive).await?;
        // A state that somebody else saved meanwhile was left as it is.
        if reader.archived.states > 0 && states != States::of(&self.contents).await? {
            let difference = "the states in the store are others: somebody else writes to it".to_owned();
            let line = reader.lines;
            return Err(ArchiveError::Differs { line, difference });
        }
        (self.progress)(reader.archived);
        Ok(reader.archived)
    }
}

/// A checksum of all states in the order of their keys.
#[derive(Default, PartialEq)]
struct States(Seal);

impl States {
    fn take(&mut self, record: &Record) {
        if let Record::State(_) = record {
            self.0.take(&Line::of(record).json());
        }
    }

    async fn of(contents: &Contents) -> Result<Self, ArchiveError> {
        let mut all = Self::default();
        let mut states = all_states(contents.states()?);
        while let Some(state) = states.try_next().await.map_err(ArchiveError::Read)? {
            all.take(&Record::State(state));
        }
        Ok(all)
    }
}

/// The next record that was stored before; none behind the last.
async fn next(stored: &mut Option<BoxStream<'_, Result<Record, StoreError>>>) -> Result<Option<Record>, ArchiveError> {
    let Some(records) = stored else { return Ok(None) };
    let record = records.try_next().await.map_err(ArchiveError::Read)?;
    if record.is_none() {
        *stored = None;
    }
    Ok(record)
}

fn compare(line: u64, record: Option<&Record>, stored: Option<&Record>) -> Result<(), ArchiveError> {
    match difference([record, stored], ["the archive", "the store"]) {
        Some(difference) => Err(ArchiveError::Differs { line, difference }),
        None => Ok(()),
    }
}

/// Records that are stored at once.
#[derive(Default)]
struct Batch {
    appends: Vec<RecordedAppend>,
    states: Vec<StateChange>,
    lines: Vec<u64>,
    events: u64,
    bytes: usize,
    /// The progress up to its last record.
    archived: Archived,
}

impl Batch {
    /// Returns whether the record can be stored with the others. Appends and states cannot.
    fn takes(&self, record: &Record) -> bool {
        let is_of_a_kind = match record {
            Record::Append(_) => self.states.is_empty(),
            Record::State(_) => self.appends.is_empty(),
        };
        let has_room = self.lines.len() < RECORDS && self.events < EVENTS && self.bytes < BYTES;
        self.lines.is_empty() || is_of_a_kind && has_room
    }

    fn add(&mut self, line: u64, record: Record) {
        self.lines.push(line);
        match record {
            Record::Append(append) => {
                self.events += append.events();
                let sizes = append.append.events();
                self.bytes += sizes
                    .map(|event| event.payload.len() + event.metadata.size())
                    .sum::<usize>();
                self.appends.push(append);
            }
            Record::State(state) => {
                self.bytes += state.payload.as_ref().map_or(0, bytes::Bytes::len);
                self.states.push(state);
            }
        }
    }

    /// Stores the records, and returns their number.
    async fn store(&mut self, contents: &Contents, archive: &dyn ArchiveStore) -> Result<u64, ArchiveError> {
        let archived = self.archived;
        let Self {
            appends, states, lines, ..
        } = std::mem::take(self);
        self.archived = archived;
        let Some(&first) = lines.first() else { return Ok(0) };
        if states.is_empty() {
            let ids: Vec<_> = appends.iter().map(|append| append.append.id).collect();
            let line = |id| {
                ids.iter()
                    .rposition(|known| *known == id)
                    .map_or(first, |place| lines[place])
            };
            archive
                .restore(appends)
                .await
                .map_err(|error| refused(error, first, line))?;
        } else {
            // Their sequences begin anywhere.
            let saved = contents.states()?.save(states, Demand::Newer).await;
            saved.map_err(|error| unsaved(error, first))?;
        }
        Ok(lines.len() as u64)
    }
}

fn refused(error: RestoreAppendError, first: u64, line: impl Fn(crate::AppendId) -> u64) -> ArchiveError {
    match error {
        RestoreAppendError::Store(source) | RestoreAppendError::Indeterminate(source) => {
            ArchiveError::Failed { line: first, source }
        }
        RestoreAppendError::Misplaced { append, .. }
        | RestoreAppendError::BackInTime { append, .. }
        | RestoreAppendError::Refused { append, .. } => ArchiveError::Refused {
            line: line(append),
            source: Box::new(error),
        },
    }
}

fn unsaved(error: SaveError, line: u64) -> ArchiveError {
    match error {
        SaveError::Store(source) | SaveError::Indeterminate(source) => ArchiveError::Failed { line, source },
        _ => ArchiveError::StateRefused {
            line,
            source: Box::new(error),
        },
    }
}

impl<'a, R> IntoFuture for Import<'a, R>
where
    R: AsyncRead + Unpin + Send + 'a,
{
    type Output = Result<Archived, ArchiveError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run().instrument(tracing::info_span!("es.import_archive")))
    }
}

impl<R> fmt::Debug for Import<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Import").finish_non_exhaustive()
    }
}
