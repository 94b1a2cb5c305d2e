//! Checks that the open files are still those under their names.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The files of a store, as they were when it was opened.
pub(crate) struct Place {
    files: Vec<(PathBuf, Identity)>,
}

/// The identity of a file, whatever its name.
type Identity = (u64, u64);

impl Place {
    /// The file `path`, and what SQLite has beside it while it is open.
    pub(crate) fn of(path: &Path) -> Self {
        let files = ["", "-wal", "-shm"].map(|suffix| {
            let mut name = OsString::from(path);
            name.push(suffix);
            PathBuf::from(name)
        });
        let files = files.into_iter().filter_map(|path| Some((identity(&path)?, path)));
        Self {
            files: files.map(|(identity, path)| (path, identity)).collect(),
        }
    }

    /// The file that was removed, or that another one stands in the place of.
    pub(crate) fn lost(&self) -> Option<&Path> {
        let lost = self.files.iter().find(|(path, was)| identity(path) != Some(*was));
        lost.map(|(path, _)| &**path)
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;

    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Elsewhere a file that is open can be neither removed nor replaced.
#[cfg(not(unix))]
fn identity(_: &Path) -> Option<Identity> {
    None
}
