use std::borrow::Cow;
use std::collections::HashMap;

use es_runtime::store::{
    Append, AppendError, Appended, IdempotencyKey, InlineError, RestoreAppendError, StreamAppend, StreamAppended,
    has_ended,
};
use es_runtime::{AppendId, Clock, EventId, NewEvent, Position, StreamId, Timestamp, Version};
use rusqlite::{Connection, ErrorCode, OptionalExtension};

use crate::appends::Appends;
use crate::archive::{RestoreRequest, Restored};
use crate::checksum::{Checksums, Folded};
use crate::error::Problem;
use crate::kinds::Kinds;
use crate::options::Durability;
use crate::projections::ProjectionWriter;
use crate::request::{Answer, AppendRequest, Encoded, Inline, Request};
use crate::rows;
use crate::statement::Prepared;

/// The number of stream ids kept in memory.
const KNOWN_STREAMS: usize = 1 << 16;

/// Why the requests of a transaction have no answers.
pub(crate) enum Failure {
    /// It could not begin: nothing was done.
    NotBegun(Problem),
    /// It was undone: nothing was done. One request may be to blame, the others are innocent then.
    Undone(Problem),
    /// The commit failed in a way that leaves open whether it happened.
    InDoubt(Problem),
}

/// Writes requests to the file, many in one transaction.
pub(crate) struct Transactions<'c> {
    connection: &'c Connection,
    /// The durability of a commit that must last.
    durability: Durability,
    /// The durability that the connection is set to now.
    set: Durability,
    begin: Prepared<'c>,
    commit: Prepared<'c>,
    last_event: Prepared<'c>,
    find_stream: Prepared<'c>,
    insert_stream: Prepared<'c>,
    find_last: Prepared<'c>,
    insert_event: Prepared<'c>,
    appends: Appends<'c>,
    kinds: Kinds<'c>,
    projections: ProjectionWriter<'c>,
    /// Rows of `streams`, which are never changed.
    streams: HashMap<StreamId, i64>,
    /// The streams of the append at hand, as they are before it. Kept for its memory.
    targets: Vec<Target>,
}

/// A stream that an append names.
#[derive(Clone, Copy)]
struct Target {
    /// Its row; of none, if it has no event yet.
    row: Option<i64>,
    version: Version,
    last: Option<EventId>,
}

/// The end of the log, within a transaction.
#[derive(Clone, Copy)]
struct Head {
    position: Position,
    /// One time for all that is recorded in the transaction.
    time: Timestamp,
    /// True if anything was written.
    moved: bool,
}

impl<'c> Transactions<'c> {
    /// On a connection on which commits go as far as `durability` says.
    pub(crate) fn new(connection: &'c Connection, durability: Durability) -> Self {
        let prepared = |sql| Prepared::new(connection, sql);
        Self {
            connection,
            durability,
            set: durability,
            begin: prepared("BEGIN IMMEDIATE"),
            commit: prepared("COMMIT"),
            last_event: prepared("SELECT position, recorded_at FROM recorded_events ORDER BY position DESC LIMIT 1"),
            find_stream: prepared("SELECT id FROM streams WHERE category = ?1 AND stream_id = ?2"),
            insert_stream: prepared("INSERT INTO streams (category, stream_id) VALUES (?1, ?2)"),
            find_last: prepared(
                "SELECT version, event_id FROM recorded_events WHERE stream = ?1 ORDER BY version DESC LIMIT 1",
            ),
            insert_event: prepared(
                "INSERT INTO recorded_events
                 (position, stream, version, event_id, recorded_at, name, shape_version, metadata, payload, checksum)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            ),
            appends: Appends::new(connection),
            kinds: Kinds::new(connection),
            projections: ProjectionWriter::new(connection),
            streams: HashMap::new(),
            targets: Vec::new(),
        }
    }

    /// Does all requests in one transaction. A request that is refused does not disturb the others.
    pub(crate) fn run(&mut self, requests: &mut [Request], clock: &dyn Clock) -> Result<Vec<Answer>, Failure> {
        let durability = if requests.iter().any(Request::must_last) {
            self.durability
        } else {
            Durability::Normal
        };
        self.set(durability)
            .and_then(|()| self.begin())
            .map_err(Failure::NotBegun)?;
        match self.answer_all(requests, clock) {
            Ok(answers) => self.commit().map(|()| answers),
            Err(problem) => Err(self.undo(problem)),
        }
    }

    /// Sets how far the next commit goes. A commit that flushes takes those before it along that did not.
    fn set(&mut self, durability: Durability) -> Result<(), Problem> {
        if self.set != durability {
            let pragma = format!("PRAGMA synchronous = {}", durability.pragma());
            self.connection.execute_batch(&pragma)?;
            self.set = durability;
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Problem> {
        self.begin.get()?.execute([])?;
        Ok(())
    }

    /// Once this returns, what was written is on the disk, if it must last.
    fn commit(&mut self) -> Result<(), Failure> {
        match self.commit.get().and_then(|commit| Ok(commit.execute([])?)) {
            Ok(_) => Ok(()),
            Err(problem) => {
                match problem.code() {
                    // The write of a log frame fell short, so that the last one, which makes a transaction count, is not
                    // there; or the commit was not begun.
                    Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy) => Err(self.undo(problem)),
                    _ => Err(Failure::InDoubt(problem)),
                }
            }
        }
    }

    /// Takes back what was written. SQLite may have done that itself.
    fn undo(&mut self, problem: Problem) -> Failure {
        self.forget();
        if self.connection.is_autocommit() {
            return Failure::Undone(problem);
        }
        match self.connection.execute_batch("ROLLBACK") {
            Ok(()) => Failure::Undone(problem),
            Err(error) => Failure::InDoubt(error.into()),
        }
    }

    /// Forgets what may have been noted of rows that were taken back.
    fn forget(&mut self) {
        self.streams.clear();
        self.kinds.forget();
    }

    /// Gives the write lock back, if a failure left it held: other processes go on.
    pub(crate) fn abandon(&mut self) {
        if !self.connection.is_autocommit() {
            // Closing the connection would do it too, only later.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    fn answer_all(&mut self, requests: &mut [Request], clock: &dyn Clock) -> Result<Vec<Answer>, Problem> {
        let mut head = self.head(clock)?;
        let mut in_doubt = false;
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(match request {
                Request::Append(request) => Answer::Append(self.append_chain(request, &mut head)?),
                Request::Restore(request) => Answer::Restore(self.restore(request, &mut head)?),
                Request::Resolve(request) => {
                    let found = self.find(request.append)?;
                    in_doubt |= found.is_none();
                    Answer::Resolve(Ok(found))
                }
                Request::Job(job) => {
                    job.run(&mut self.projections)?;
                    Answer::Job { rows: job.rows() }
                }
            });
        }
        if in_doubt && !head.moved {
            self.write_barrier()?;
        }
        Ok(answers)
    }

    /// Writes something, so that "not stored" stays true: after a flush that failed, the frames of the append in doubt may
    /// lie behind the end of the write-ahead log, and come back to life when the log is recovered after a crash. This
    /// transaction takes their place. A newer build may have raised the version since the file was opened.
    fn write_barrier(&mut self) -> Result<(), Problem> {
        let version: i64 = self.connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        self.connection
            .execute_batch(&format!("PRAGMA user_version = {version}"))?;
        Ok(())
    }

    fn head(&mut self, clock: &dyn Clock) -> Result<Head, Problem> {
        let last = self.last_event()?;
        Ok(Head {
            time: clock.now().max(last.time),
            ..last
        })
    }

    /// The end of the log, at the time of its last event.
    fn last_event(&mut self) -> Result<Head, Problem> {
        let mut rows = self.last_event.get()?.query([])?;
        let (position, time) = match rows.next()? {
            None => (Position::ZERO, Timestamp::MIN),
            Some(row) => (Position(rows::number(row.get(0)?)), rows::time(row, 1)?),
        };
        Ok(Head {
            position,
            time,
            moved: false,
        })
    }

    /// Stores all of the appends as they were recorded, or none.
    fn restore(
        &mut self,
        request: &RestoreRequest,
        head: &mut Head,
    ) -> Result<Result<Vec<Appended>, RestoreAppendError>, Problem> {
        self.connection.execute_batch("SAVEPOINT restore")?;
        let restored = self.restore_each(&request.appends)?;
        if restored.is_ok() {
            self.connection.execute_batch("RELEASE restore")?;
            let end = self.last_event()?;
            head.position = end.position;
            head.time = head.time.max(end.time);
            head.moved = true;
        } else {
            self.connection.execute_batch("ROLLBACK TO restore; RELEASE restore")?;
            self.forget();
        }
        Ok(restored)
    }

    /// Stores the appends, up to the first that cannot be stored as it was recorded.
    fn restore_each(&mut self, appends: &[Restored]) -> Result<Result<Vec<Appended>, RestoreAppendError>, Problem> {
        let mut last = self.last_event()?;
        let mut restored = Vec::with_capacity(appends.len());
        for Restored { recorded, encoded } in appends {
            let append = &encoded.append;
            let mut head = Head {
                time: last.time.max(recorded.recorded_at),
                ..last
            };
            let answer = match self.repetition(encoded)? {
                Some(answer) => answer,
                None => {
                    self.look_up(append)?;
                    match self.conflict(append) {
                        Some(conflict) => Err(conflict),
                        None => Ok(self.write(encoded, &mut head)?),
                    }
                }
            };
            let answer = answer.map_err(|error| RestoreAppendError::refused(append.id, error));
            match answer.and_then(|appended| recorded.check(&appended).map(|()| appended)) {
                Ok(appended) => restored.push(appended),
                Err(refused) => return Ok(Err(refused)),
            }
            if head.position > last.position {
                last = head;
            }
        }
        Ok(Ok(restored))
    }

    /// The answers to the appends of a request, up to the first that was not stored now.
    fn append_chain(
        &mut self,
        request: &AppendRequest,
        head: &mut Head,
    ) -> Result<Vec<Result<Appended, InlineError>>, Problem> {
        let mut answers = Vec::with_capacity(request.chain.len());
        for encoded in &request.chain {
            answers.push(self.append(encoded, &request.inline, head)?);
            if has_ended(&answers) {
                break;
            }
        }
        Ok(answers)
    }

    fn append(
        &mut self,
        encoded: &Encoded,
        inline: &Inline,
        head: &mut Head,
    ) -> Result<Result<Appended, InlineError>, Problem> {
        let append = &encoded.append;
        if let Some(answer) = self.repetition(encoded)? {
            return Ok(answer.map_err(InlineError::from));
        }
        self.look_up(append)?;
        if let Some(conflict) = self.conflict(append) {
            return Ok(Err(conflict.into()));
        }
        if inline.is_empty() {
            return self.write(encoded, head).map(Ok);
        }
        let rows = match self.projections.run_inline(inline)? {
            Ok(rows) => rows,
            Err(refused) => return Ok(Err(refused)),
        };
        let before = head.position;
        let appended = self.write(encoded, head)?;
        self.projections.keep_inline(inline, rows, before, head.position)?;
        Ok(Ok(appended))
    }

    /// The answer to an append that was done before, under its id or under its key.
    fn repetition(&mut self, encoded: &Encoded) -> Result<Option<Result<Appended, AppendError>>, Problem> {
        let append = &encoded.append;
        if let Some(done) = self.appends.find(append.id)? {
            let stored = self.appends.result(&done)?;
            let same = self.appends.is_same(append, &encoded.metadata, &stored, &done)?;
            return Ok(Some(
                same.then_some(stored)
                    .ok_or_else(|| mismatch(format!("append id {}", append.id))),
            ));
        }
        match &append.key {
            Some(key) => self.repetition_of_key(key),
            None => Ok(None),
        }
    }

    fn repetition_of_key(&mut self, key: &IdempotencyKey) -> Result<Option<Result<Appended, AppendError>>, Problem> {
        Ok(self.appends.find_key(&key.key)?.map(|stored| {
            (stored.fingerprint == key.fingerprint)
                .then_some(stored.appended)
                .ok_or_else(|| mismatch(format!("idempotency key `{}`", key.key)))
        }))
    }

    fn find(&mut self, id: AppendId) -> Result<Option<Appended>, Problem> {
        match self.appends.find(id)? {
            Some(done) => self.appends.result(&done).map(Some),
            None => Ok(None),
        }
    }

    /// Fills `targets`.
    fn look_up(&mut self, append: &Append) -> Result<(), Problem> {
        self.targets.clear();
        for part in &append.streams {
            let row = self.find_stream(&part.stream)?;
            let (version, last) = match row {
                Some(row) => self.last_of(row)?,
                None => (Version::ZERO, None),
            };
            self.targets.push(Target { row, version, last });
        }
        Ok(())
    }

    fn conflict(&self, append: &Append) -> Option<AppendError> {
        let mut parts = append.streams.iter().zip(&self.targets);
        parts.find_map(|(part, target)| part.check(target.version, target.last).err())
    }

    /// Writes an append that nothing speaks against any more.
    fn write(&mut self, encoded: &Encoded, head: &mut Head) -> Result<Appended, Problem> {
        let append = &encoded.append;
        let before = head.position;
        let mut metadata = encoded.metadata.iter();
        let mut streams = Vec::with_capacity(append.streams.len());
        for (index, part) in append.streams.iter().enumerate() {
            streams.push(self.write_part(part, self.targets[index], &mut metadata, head)?);
        }
        let appended = Appended {
            id: append.id,
            repeated: false,
            recorded_at: head.time,
            streams,
        };
        let positions = (head.position > before).then_some((before.next(), head.position));
        self.appends.insert(&appended, positions, append.key.as_ref())?;
        head.moved = true;
        Ok(appended)
    }

    fn write_part<'m>(
        &mut self,
        part: &StreamAppend,
        target: Target,
        metadata: &mut impl Iterator<Item = &'m Cow<'static, str>>,
        head: &mut Head,
    ) -> Result<StreamAppended, Problem> {
        let mut version = target.version;
        if !part.events.is_empty() {
            let row = match target.row {
                Some(row) => row,
                None => self.insert_stream(&part.stream)?,
            };
            let checksums = Checksums::of(&part.stream);
            for (event, metadata) in part.events.iter().zip(metadata) {
                version = version.next();
                head.position = head.position.next();
                self.insert_event((row, checksums), version, event, metadata, head)?;
                self.kinds
                    .note(part.stream.category(), &event.name, event.shape_version)?;
            }
        }
        Ok(StreamAppended {
            stream: part.stream.clone(),
            events: part.events.len(),
            version,
            position: head.position,
        })
    }

    fn insert_event(
        &mut self,
        (stream, checksums): (i64, Checksums),
        version: Version,
        event: &NewEvent,
        metadata: &str,
        head: &Head,
    ) -> Result<(), Problem> {
        let folded = Folded {
            version: version.0,
            position: head.position.0,
            recorded_at: head.time.as_micros(),
            name: &event.name,
            shape_version: event.shape_version,
            payload: &event.payload,
        };
        let checksum = checksums.event(&folded, event.id.0.as_bytes(), metadata.as_bytes());
        self.insert_event.get()?.execute((
            rows::column(head.position.0),
            stream,
            rows::column(version.0),
            event.id.0.as_bytes(),
            head.time.as_micros(),
            event.name.as_ref(),
            event.shape_version,
            metadata,
            rows::payload(&event.payload),
            checksum.column(),
        ))?;
        Ok(())
    }

    /// The version and the id of the last event of the stream.
    fn last_of(&mut self, stream: i64) -> Result<(Version, Option<EventId>), Problem> {
        let mut found = self.find_last.get()?.query([stream])?;
        match found.next()? {
            Some(row) => Ok((Version(rows::number(row.get(0)?)), Some(EventId(rows::uuid(row, 1)?)))),
            None => Ok((Version::ZERO, None)),
        }
    }

    fn find_stream(&mut self, stream: &StreamId) -> Result<Option<i64>, Problem> {
        if let Some(row) = self.streams.get(stream) {
            return Ok(Some(*row));
        }
        let found = self
            .find_stream
            .get()?
            .query_row((stream.category(), stream.id()), |row| row.get(0))
            .optional()?;
        if let Some(row) = found {
            self.remember(stream, row);
        }
        Ok(found)
    }

    fn insert_stream(&mut self, stream: &StreamId) -> Result<i64, Problem> {
        self.insert_stream.get()?.execute((stream.category(), stream.id()))?;
        let row = self.connection.last_insert_rowid();
        self.remember(stream, row);
        Ok(row)
    }

    fn remember(&mut self, stream: &StreamId, row: i64) {
        if self.streams.len() >= KNOWN_STREAMS {
            self.streams.clear();
        }
        self.streams.insert(stream.clone(), row);
    }
}

fn mismatch(what: String) -> AppendError {
    AppendError::IdempotencyMismatch { what }
}
