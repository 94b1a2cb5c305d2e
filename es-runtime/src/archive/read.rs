use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

use super::contents::Record;
use super::line::{End, Line, Said};
use super::seal::{PREFIX, Seal};
use super::{ArchiveError, Archived, FORMAT};
use crate::Position;

/// The longest line that is read, in bytes: an append at the default limits is far below it, however it is written.
pub(super) const LONGEST: usize = 256 << 20;

/// Reads the archive `input` to its end, and checks that it is as it was written.
///
/// # Errors
///
/// [`ArchiveError::Damaged`], [`ArchiveError::Cut`] or [`ArchiveError::Format`] if it is not, [`ArchiveError::Io`] if it cannot be read.
pub async fn verify<R>(input: R) -> Result<Archived, ArchiveError>
where
    R: AsyncRead + Unpin + Send,
{
    let mut reader = Reader::open(input).await?;
    while reader.next().await?.is_some() {}
    Ok(reader.archived)
}

/// An archive that is being read.
pub(super) struct Reader<R> {
    input: BufReader<R>,
    seal: Seal,
    /// The number of lines that were read.
    pub(super) lines: u64,
    line: Vec<u8>,
    has_states: bool,
    /// The contents of the lines so far.
    pub(super) archived: Archived,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Reads the first line.
    pub(super) async fn open(input: R) -> Result<Self, ArchiveError> {
        let mut reader = Self {
            input: BufReader::with_capacity(64 << 10, input),
            seal: Seal::default(),
            lines: 0,
            line: Vec::new(),
            has_states: false,
            archived: Archived::default(),
        };
        match reader.said().await? {
            Said::Start { format: FORMAT } => Ok(reader),
            Said::Start { format } => Err(ArchiveError::Format { found: format }),
            _ => Err(reader.damaged("it is not the first line of an archive")),
        }
    }

    /// The next record; `None` behind the last, if the archive ends as it should.
    pub(super) async fn next(&mut self) -> Result<Option<Record>, ArchiveError> {
        let mut record = match self.said().await? {
            Said::Record(record) => record,
            Said::End(end) => return self.end(end).await,
            Said::Start { .. } => return Err(self.damaged("the first line of an archive comes again")),
        };
        match &mut record {
            Record::Append(_) if self.has_states => return Err(self.damaged("an append comes behind a state")),
            Record::Append(append) => append.position = Position(self.archived.events + append.events()),
            Record::State(_) => self.has_states = true,
        }
        record.count(&mut self.archived);
        Ok(Some(record))
    }

    /// Checks the last line, and that nothing comes behind it.
    async fn end(&mut self, end: End) -> Result<Option<Record>, ArchiveError> {
        if end != End::of(self.archived) {
            return Err(self.damaged("it counts other lines than there are"));
        }
        self.lines += 1;
        let rest = self.input.fill_buf().await;
        match rest.map(<[u8]>::is_empty) {
            Ok(true) => {
                self.lines -= 1;
                Ok(None)
            }
            Ok(false) => Err(self.damaged("it stands behind the last line")),
            Err(source) => Err(self.io(source)),
        }
    }

    /// Reads a line, and checks its seal.
    async fn said(&mut self) -> Result<Said, ArchiveError> {
        self.lines += 1;
        self.read_line().await?;
        if self.line.len() < PREFIX {
            return Err(self.damaged("it has no checksum"));
        }
        let (prefix, rest) = self.line.split_at_mut(PREFIX);
        let mut seal = self.seal;
        seal.take(rest);
        if prefix != seal.prefix() {
            return Err(self.damaged("its checksum is that of another line, or of another place"));
        }
        self.seal = seal;
        prefix[PREFIX - 1] = b'{';
        Line::read(&self.line[PREFIX - 1..]).map_err(|reason| self.damaged(&reason))
    }

    /// Reads a line without its end.
    async fn read_line(&mut self) -> Result<(), ArchiveError> {
        self.line.clear();
        loop {
            let filled = self.input.fill_buf().await;
            let part = match filled {
                Ok(part) => part,
                Err(source) => return Err(self.io(source)),
            };
            if part.is_empty() {
                let lines = self.lines - u64::from(self.line.is_empty());
                return Err(ArchiveError::Cut { lines });
            }
            let end = part.iter().position(|byte| *byte == b'\n');
            let (taken, consumed) = end.map_or((part.len(), part.len()), |end| (end, end + 1));
            if self.line.len() + taken > LONGEST {
                return Err(self.damaged("it is longer than any line of an archive"));
            }
            self.line.extend_from_slice(&part[..taken]);
            self.input.consume(consumed);
            self.archived.bytes += consumed as u64;
            if end.is_some() {
                return Ok(());
            }
        }
    }

    fn damaged(&self, reason: &str) -> ArchiveError {
        ArchiveError::Damaged {
            line: self.lines,
            reason: reason.to_owned(),
        }
    }

    fn io(&self, source: std::io::Error) -> ArchiveError {
        let line = self.lines;
        ArchiveError::Io { line, source }
    }
}
