//! Where a store may lie.

use std::fs;
use std::path::{Path, PathBuf};

use es_runtime::{StoreError, StoreErrorKind};

/// The absolute path of the store, if it may be there.
///
/// Absolute, because SQLite would take a name such as `file:bank.db?mode=memory` for a URI.
pub(crate) fn check(path: &Path) -> Result<PathBuf, StoreError> {
    if path.as_os_str().is_empty() || path == Path::new(":memory:") {
        return Err(rejected(
            "this store keeps events in a file; for one in memory use `MemoryStore` of es-runtime",
        ));
    }
    if let Some(uri) = path.to_str().filter(|text| is_uri(text)) {
        let file = uri
            .split_once(':')
            .map_or(uri, |(_, rest)| rest.trim_start_matches('/'));
        let file = file.split('?').next().unwrap_or_default();
        return Err(rejected(
            if file.is_empty() || uri.contains(":memory:") || uri.contains("mode=memory") {
                format!(
                    "`{uri}` asks for a database in memory, and this store keeps events in a file; use `MemoryStore` of es-runtime"
                )
            } else {
                format!(
                    "`{uri}` is a URI, and this store takes the path of a file, such as `{file}`; its options are in `SqliteOptions`"
                )
            },
        ));
    }
    let absolute = std::path::absolute(path)
        .map_err(|error| rejected(format!("`{}`: {error}", path.display())).caused_by(error))?;
    if let Some(kind) = network_file_system(&absolute) {
        return Err(rejected(format!(
            "`{}` lies on a network file system ({kind}), where SQLite's locks and flushes cannot be relied on: use a local disk",
            absolute.display()
        )));
    }
    Ok(absolute)
}

/// Returns whether SQLite, or a crate for it, would take the text for a URI. Hardly anybody wants a file of that name.
fn is_uri(text: &str) -> bool {
    ["file:", "sqlite:"].iter().any(|scheme| {
        text.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

fn rejected(message: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Rejected, message)
}

/// The type of the file system, if it is known to be one over the network. Only Linux tells.
fn network_file_system(path: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let directory = path.parent()?.canonicalize().ok()?;
    let kind = file_system(&mounts, &directory)?;
    is_network(kind).then(|| kind.to_owned())
}

/// The type of the file system that holds `directory`: of the longest mount point above it, the last one if it was mounted
/// over.
fn file_system<'a>(mounts: &'a str, directory: &Path) -> Option<&'a str> {
    mounts
        .lines()
        .filter_map(mount)
        .filter(|(point, _)| directory.starts_with(point))
        .max_by_key(|(point, _)| point.as_os_str().len())
        .map(|(_, kind)| kind)
}

/// Mount point and type of a line such as `36 35 98:0 / /mnt rw,noatime shared:1 - ext3 /dev/root rw`.
fn mount(line: &str) -> Option<(PathBuf, &str)> {
    let (mount, source) = line.split_once(" - ")?;
    let point = mount.split(' ').nth(4)?;
    let kind = source.split(' ').next()?;
    Some((PathBuf::from(point.replace("\\040", " ")), kind))
}

fn is_network(kind: &str) -> bool {
    const KINDS: [&str; 9] = [
        "afs",
        "ceph",
        "cifs",
        "fuse.glusterfs",
        "fuse.s3fs",
        "fuse.sshfs",
        "nfs",
        "nfs4",
        "smb3",
    ];
    KINDS.contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:35 / /srv/a\\040share rw - nfs4 host:/export rw,vers=4.2
41 22 0:36 / /srv/local rw - xfs /dev/vdb rw";

    #[test]
    fn the_longest_mount_point_counts() {
        let kind = |path| file_system(MOUNTS, Path::new(path));
        assert_eq!(kind("/srv"), Some("ext4"));
        assert_eq!(kind("/srv/a share/bank"), Some("nfs4"));
        assert_eq!(kind("/srv/local"), Some("xfs"));
        assert_eq!(kind("/srv/localized"), Some("ext4"));
    }

    #[test]
    fn memory_is_refused_with_a_hint() {
        for path in [
            "",
            ":memory:",
            "file::memory:",
            "file::memory:?cache=shared",
            "file:bank?mode=memory&cache=shared",
            "FILE:bank?mode=memory",
            "file:",
            "sqlite::memory:",
            "sqlite://:memory:",
        ] {
            let error = check(Path::new(path)).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Rejected);
            assert!(error.to_string().contains("MemoryStore"), "{error}");
        }
    }

    #[test]
    fn a_uri_is_refused_with_the_path_in_it() {
        for uri in [
            "file:bank.db",
            "file:bank.db?mode=ro",
            "sqlite://bank.db",
            "sqlite:bank.db?mode=rwc",
        ] {
            let error = check(Path::new(uri)).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Rejected);
            assert!(error.to_string().contains("such as `bank.db`"), "{error}");
        }
        assert!(check(Path::new("./file:bank.db")).is_ok());
    }
}
