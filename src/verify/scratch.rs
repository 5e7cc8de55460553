//! Room for what a verification copies.

use super::Failure;
use std::path::{Path, PathBuf};

/// A directory of this call's own, removed in the end.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one below `parent`.
    pub(super) fn below(parent: &Path) -> Result<Self, Failure> {
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = parent.join(format!("jupan-verify-{}-{number}", std::process::id()));
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(|source| Failure::read(&path, source))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("jupan verify: {} is left behind: {error}", self.0.display());
        }
    }
}
