//! The state's directory: whole files that are written once, synced, and never changed.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The one file that is replaced, atomically: it names all others.
const MANIFEST: &str = "manifest";
/// Its successor, until it is complete.
const MANIFEST_NEXT: &str = "manifest.next";
/// Held while the directory is in use.
const LOCK: &str = "lock";

/// A file of the state cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FileError {
    /// What was tried.
    pub action: &'static str,
    /// On which file or directory.
    pub path: PathBuf,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

/// A directory that one analyzer owns.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// The lock goes with the open file, so a killed process leaves none behind.
    _lock: File,
}

impl Directory {
    /// Makes the directory where there is none, and locks it.
    ///
    /// # Errors
    /// [`FileError`], also where another analyzer has it.
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        fs::create_dir_all(path).map_err(failed("create", path))?;
        if let Some(parent) = path.parent() {
            sync_directory(parent)?;
        }
        let name = path.join(LOCK);
        let lock = File::create(&name).map_err(failed("create", &name))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.into(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                let taken = io::Error::new(io::ErrorKind::ResourceBusy, "in use elsewhere");
                Err(failed("lock", &name)(taken))
            }
            Err(TryLockError::Error(source)) => Err(failed("lock", &name)(source)),
        }
    }

    /// The manifest's bytes; `None` where there is none yet.
    pub(crate) fn read_manifest(&self) -> Result<Option<Vec<u8>>, FileError> {
        self.read(MANIFEST)
    }

    /// A file's bytes; `None` where there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FileError> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Writes a file under a name that no manifest knows yet, and syncs its bytes. Its name lasts
    /// once [`Directory::sync`] has been called.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        let path = self.path.join(name);
        let mut file = File::create(&path).map_err(failed("create", &path))?;
        file.write_all(bytes).map_err(failed("write", &path))?;
        file.sync_all().map_err(failed("sync", &path))
    }

    /// Writes the next manifest beside the present one.
    pub(crate) fn write_next_manifest(&self, bytes: &[u8]) -> Result<(), FileError> {
        self.write(MANIFEST_NEXT, bytes)
    }

    /// From here on the next manifest is the one that counts.
    pub(crate) fn switch_manifest(&self) -> Result<(), FileError> {
        let (from, to) = (self.path.join(MANIFEST_NEXT), self.path.join(MANIFEST));
        fs::rename(from, &to).map_err(failed("replace", &to))?;
        self.sync()
    }

    /// Makes the names in the directory last.
    pub(crate) fn sync(&self) -> Result<(), FileError> {
        sync_directory(&self.path)
    }

    /// Removes every file that is neither the manifest nor one to keep: predecessors, and what a
    /// kill left behind.
    pub(crate) fn remove_others(&self, keep: impl Fn(&str) -> bool) -> Result<(), FileError> {
        let listing = fs::read_dir(&self.path).map_err(failed("list", &self.path))?;
        for entry in listing {
            let path = entry.map_err(failed("list", &self.path))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name != MANIFEST && name != LOCK && !keep(name) {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }
}

fn sync_directory(path: &Path) -> Result<(), FileError> {
    // The parent of a relative path of one part is "", which means here.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let directory = File::open(path).map_err(failed("open", path))?;
    directory.sync_all().map_err(failed("sync", path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_path_buf();
    move |source| FileError { action, path, source }
}
