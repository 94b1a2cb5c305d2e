//! The whole bank as one file, which any other store can hold.

use std::fmt;
use std::path::{Path, PathBuf};

use es_runtime::archive::{self, ArchiveError, Archived};
use es_runtime::prelude::*;
use serde_json::{Value, json};
use tokio::fs::File;

use crate::error::BankError;
use crate::progress::Progress;
use crate::report::Report;

/// An archive that was written or imported.
pub(crate) struct Moved {
    file: String,
    archived: Archived,
    verb: &'static str,
}

/// Writes the bank to a new file.
pub(crate) async fn export(bank: &Runtime, path: &Path, quiet: bool) -> Result<Moved, BankError> {
    let named = |source| BankError::File {
        path: path.to_owned(),
        source,
    };
    // Not over a file that may be the only archive of another bank.
    let mut file = File::create_new(path).await.map_err(named)?;
    let name = name(path);
    let head = bank.health().await?.head;
    let mut progress = if quiet {
        Progress::Quiet
    } else {
        Progress::of_export(&name, head.0)
    };
    let exported = async {
        let export = archive::export(bank, &mut file);
        let exported = export.progress(|so_far| progress.at(so_far.events)).await;
        let archived = exported.map_err(|error| BankError::Export(Box::new(error)))?;
        file.sync_all().await.map_err(named)?;
        Ok(archived)
    };
    let exported: Result<Archived, BankError> = exported.await;
    progress.done();
    if exported.is_err() {
        // The file is no archive.
        let _ = tokio::fs::remove_file(path).await;
    }
    Ok(Moved {
        file: name,
        archived: exported?,
        verb: "exported",
    })
}

/// An archive that is as it was written.
pub(crate) struct Archive {
    path: PathBuf,
    bytes: u64,
}

impl Archive {
    /// Reads the archive to its end, so that nothing is stored of one that is damaged.
    pub(crate) async fn open(path: PathBuf) -> Result<Self, BankError> {
        let verified = archive::verify(file(&path).await?).await;
        match verified {
            Ok(Archived { bytes, .. }) => Ok(Self { path, bytes }),
            Err(error) => Err(unusable(&path, error)),
        }
    }

    /// Stores what the bank does not hold of it yet.
    pub(crate) async fn import(&self, bank: &Runtime, quiet: bool) -> Result<Moved, BankError> {
        let name = name(&self.path);
        let mut progress = if quiet {
            Progress::Quiet
        } else {
            Progress::of_archive(&name, self.bytes)
        };
        let import = archive::import(file(&self.path).await?, bank);
        let imported = import.progress(|so_far| progress.at(so_far.bytes)).await;
        progress.done();
        Ok(Moved {
            file: name,
            archived: imported.map_err(|error| unusable(&self.path, error))?,
            verb: "imported",
        })
    }
}

async fn file(path: &Path) -> Result<File, BankError> {
    File::open(path).await.map_err(|source| BankError::File {
        path: path.to_owned(),
        source,
    })
}

fn unusable(path: &Path, error: ArchiveError) -> BankError {
    BankError::Archive {
        path: path.to_owned(),
        error: Box::new(error),
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

impl Report for Moved {
    fn json(&self) -> Value {
        let Archived {
            appends,
            events,
            states,
            stored,
            bytes,
            ..
        } = self.archived;
        json!({
            "file": self.file,
            "appends": appends,
            "events": events,
            "states": states,
            "stored": stored,
            "bytes": bytes,
        })
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Archived {
            appends,
            events,
            states,
            stored,
            bytes,
            ..
        } = self.archived;
        let Self { file, verb, .. } = self;
        write!(
            f,
            "{file}: {verb} {events} events in {appends} appends, and {states} states ({bytes} bytes)"
        )?;
        if *verb == "imported" && stored < appends + states {
            write!(f, "; {} of them were there before", appends + states - stored)?;
        }
        Ok(())
    }
}
