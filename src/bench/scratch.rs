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

/// Whether `jupan verify` is green on a directory; its report goes to standard error if not.
///
/// # Errors
/// Why it cannot be verified.
pub(crate) fn verify(data: &Path) -> anyhow::Result<bool> {
    let report = crate::verify::of(data)?;
    if !report.is_ok() {
        report.print(false, &mut std::io::stderr())?;
    }
    Ok(report.is_ok())
}

/// Bytes of log written so far, by the positions of its segments and the blocks of the last one.
///
/// # Errors
/// Why the directory cannot be read.
pub(crate) fn log_bytes(data: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(data.join("log"))? {
        let name = entry?.file_name();
        let position =
            name.to_string_lossy().strip_suffix(".seg").and_then(|name| name.parse().ok());
        bytes = bytes.max(position.unwrap_or(0));
    }
    Ok(bytes)
}
