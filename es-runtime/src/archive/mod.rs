#![doc = include_str!("../../docs/archive.md")]

mod compare;
mod contents;
mod difference;
mod error;
mod export;
mod import;
mod line;
mod read;
mod seal;
mod write;

use tokio::io::{AsyncRead, AsyncWrite};

pub use compare::{Difference, compare};
pub use contents::Contents;
pub use error::ArchiveError;
pub use export::Export;
pub use import::Import;
pub use read::verify;

/// The format that [`export`] writes, and [`import`] reads.
pub const FORMAT: u32 = 1;

/// The contents of an archive, as far as it was written, read or imported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Archived {
    /// The number of appends.
    pub appends: u64,
    /// The number of events in them.
    pub events: u64,
    /// The number of entities whose latest state is kept.
    pub states: u64,
    /// The number of these appends and states that this import has stored; the others were there before.
    pub stored: u64,
    /// The size of the archive in bytes.
    pub bytes: u64,
}

/// Writes everything that a store keeps to `output`. Await the result, or set options first.
///
/// The store may be in use: the archive holds the log up to the head at which the export began, and each state as it was when it was read.
///
/// # Errors
///
/// [`ArchiveError::Unsupported`] for a store that gives out no whole appends, [`ArchiveError::Read`] if it fails, and
/// [`ArchiveError::Io`] if `output` does. What was written is then no archive: it lacks its last line.
///
/// # Cancel safety
///
/// Dropping the future leaves an output that lacks its last line.
pub fn export<'a, W>(store: impl Into<Contents>, output: W) -> Export<'a, W>
where
    W: AsyncWrite + Unpin + Send + 'a,
{
    Export::new(store.into(), output)
}

/// Stores everything that the archive `input` holds, in a store that is empty. Await the result, or set options first.
///
/// An import that was interrupted is run again: what is stored is compared with the archive, and the rest is stored. The archive is
/// checked line by line, and stored in batches; memory holds one of them.
///
/// # Errors
///
/// [`ArchiveError::Damaged`] and [`ArchiveError::Cut`] for an archive that is not as it was written, [`ArchiveError::Differs`] for a store
/// that holds something else. Each names the line, and nothing from that line on is stored.
///
/// # Cancel safety
///
/// Dropping the future leaves the first lines of the archive stored. Run the import again.
pub fn import<'a, R>(input: R, store: impl Into<Contents>) -> Import<'a, R>
where
    R: AsyncRead + Unpin + Send + 'a,
{
    Import::new(input, store.into())
}
