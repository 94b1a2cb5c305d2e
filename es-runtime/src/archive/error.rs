use std::io;

use crate::StoreError;
use crate::store::{RestoreAppendError, SaveError};

/// The reason why an archive was not written, read or imported to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The line is not as it was written: something of it was altered, or lines were lost, repeated or moved. Take another copy of the archive.
    #[error("line {line} of the archive is not as it was written: {reason}")]
    Damaged {
        /// The number of the line, from 1 on.
        line: u64,
        /// The fault.
        reason: String,
    },
    /// The archive ends before its last line: the export was interrupted, or the end was lost. Take another copy of the archive.
    #[error(
        "the archive ends in or behind line {lines}, before its last line: it was not written to its end, or lost it"
    )]
    Cut {
        /// The number of the lines that are there.
        lines: u64,
    },
    /// The archive has a format that this build does not read: use a newer build.
    #[error(
        "the archive has format {found}, and this build reads format {}: use a newer build",
        super::FORMAT
    )]
    Format {
        /// The format.
        found: u32,
    },
    /// The store holds something that the archive does not hold there. Import into a store that is empty, or that holds nothing but what an
    /// import of this archive has stored.
    #[error("the store holds something else than line {line} of the archive: {difference}")]
    Differs {
        /// The number of the line, from 1 on.
        line: u64,
        /// The first difference.
        difference: String,
    },
    /// The store refuses the append of the line.
    #[error("the store refuses line {line} of the archive")]
    Refused {
        /// The number of the line, from 1 on.
        line: u64,
        /// The reason.
        #[source]
        source: Box<RestoreAppendError>,
    },
    /// The store refuses the state of the line, or of one of the lines that are stored with it.
    #[error("the store refuses the states from line {line} of the archive on")]
    StateRefused {
        /// The number of the line, from 1 on.
        line: u64,
        /// The reason.
        #[source]
        source: Box<SaveError>,
    },
    /// The line would be too long to be read back.
    #[error("line {line} of the archive would have {bytes} bytes, and {limit} can be read back")]
    TooLong {
        /// The number of the line, from 1 on.
        line: u64,
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The store cannot be archived, or cannot hold what the archive does.
    #[error("the store {what}: choose another one")]
    Unsupported {
        /// The thing that it does not do.
        what: &'static str,
    },
    /// The store failed while it was read.
    #[error("the store cannot be read")]
    Read(#[source] StoreError),
    /// The store failed while the line was stored. Everything before it is stored: run the import again.
    #[error("the import stopped at line {line} of the archive: run it again to go on")]
    Failed {
        /// The first line that is not known to be stored, from 1 on.
        line: u64,
        /// The failure.
        #[source]
        source: StoreError,
    },
    /// The archive cannot be read or written.
    #[error("the archive cannot be read or written at line {line}")]
    Io {
        /// The number of the line, from 1 on.
        line: u64,
        /// The failure.
        #[source]
        source: io::Error,
    },
}
