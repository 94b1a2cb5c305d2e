#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the library that makes a disk fail, or says why it cannot.
pub(crate) fn failing_disk(directory: &Path) -> Result<PathBuf, String> {
    if !cfg!(target_os = "linux") {
        return Err("disks fail on Linux only".to_owned());
    }
    let library = directory.join("disk.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fault/disk.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .status();
    match built {
        Ok(status) if status.success() => Ok(library),
        Ok(status) => Err(format!("cc ended with {status}")),
        Err(error) => Err(format!("cc cannot be started: {error}")),
    }
}
