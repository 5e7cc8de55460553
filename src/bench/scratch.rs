//! The temporary data directory of a scenario.

use anyhow::Context;
use std::path::{Path, PathBuf};

/// A directory that goes when it is dropped.
pub(crate) struct Dir(PathBuf);

impl Dir {
    /// Makes a directory of this process's own below `parent`.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub(crate) fn new(parent: &Path) -> anyhow::Result<Self> {
        let path = parent.join(format!("jupan-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("jupan bench: {} is left behind: {error}", self.0.display());
        }
    }
}

/// What `jupan verify` says of a directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verified {
    /// Whether every invariant holds.
    pub(crate) is_green: bool,
    /// Entries of all journals.
    pub(crate) entries: u64,
    /// Orders of all statuses.
    pub(crate) orders: u64,
}

/// Verifies a directory; the report goes to standard error where a fault is found.
///
/// # Errors
/// Why it cannot be verified.
pub(crate) fn verify(data: &Path) -> anyhow::Result<Verified> {
    let report = crate::verify::of(data)?;
    if !report.is_ok() {
        report.print(false, &mut std::io::stderr())?;
    }
    let facts = &report.facts;
    let (entries, orders) = (facts.entries, facts.orders.values().sum());
    Ok(Verified { is_green: report.is_ok(), entries, orders })
}

/// Bytes of log written so far, zeros ahead of its end included: a quarter of a MiB at most.
///
/// # Errors
/// Why the directory cannot be read.
pub(crate) fn log_bytes(data: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(data.join("log"))? {
        let entry = entry?;
        let name = entry.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".seg"));
        // A segment's name is the position of its first frame in the whole log.
        if let Some(first) = digits.and_then(|digits| digits.parse::<u64>().ok()) {
            bytes = bytes.max(first + entry.metadata()?.len());
        }
    }
    Ok(bytes)
}
