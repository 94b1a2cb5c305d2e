use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::ArchiveError;
use super::line::Line;
use super::read::LONGEST;
use super::seal::{PREFIX, Seal};

/// The lines are written in pieces of about so many bytes.
const PIECE: usize = 64 << 10;

/// An archive that is being written.
pub(super) struct Writer<W> {
    output: W,
    seal: Seal,
    lines: u64,
    /// The lines that are not written yet.
    piece: Vec<u8>,
    /// The length of all lines.
    pub(super) bytes: u64,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    pub(super) fn new(output: W) -> Self {
        Self {
            output,
            seal: Seal::default(),
            lines: 0,
            piece: Vec::with_capacity(2 * PIECE),
            bytes: 0,
        }
    }

    /// Adds a line. Returns whether a piece was written.
    pub(super) async fn line(&mut self, line: &Line<'_>) -> Result<bool, ArchiveError> {
        self.lines += 1;
        let start = self.piece.len();
        self.piece.resize(start + PREFIX - 1, 0);
        line.write(&mut self.piece);
        let bytes = self.piece.len() + 1 - start;
        if bytes > LONGEST {
            return Err(ArchiveError::TooLong {
                line: self.lines,
                bytes,
                limit: LONGEST,
            });
        }
        // The brace at the start of the JSON makes room for the end of the seal.
        let rest = start + PREFIX;
        self.seal.take(&self.piece[rest..]);
        self.piece[start..rest].copy_from_slice(&self.seal.prefix());
        self.piece.push(b'\n');
        self.bytes += bytes as u64;
        if self.piece.len() < PIECE {
            return Ok(false);
        }
        self.write().await?;
        Ok(true)
    }

    async fn write(&mut self) -> Result<(), ArchiveError> {
        let written = self.output.write_all(&self.piece).await;
        self.piece.clear();
        written.map_err(|source| self.io(source))
    }

    /// Writes what is left.
    pub(super) async fn finish(mut self) -> Result<(), ArchiveError> {
        self.write().await?;
        let flushed = self.output.flush().await;
        flushed.map_err(|source| self.io(source))
    }

    fn io(&self, source: std::io::Error) -> ArchiveError {
        let line = self.lines;
        ArchiveError::Io { line, source }
    }
}
