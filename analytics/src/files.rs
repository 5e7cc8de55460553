//! Where the state lies: whole files that are written once, synced, and never changed.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

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

/// The files of a state: [`Directory`] on disk, others in simulations.
pub trait Files: Send {
    /// A file's bytes; `None` where there is none.
    ///
    /// # Errors
    /// [`FileError`]
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FileError>;

    /// Writes a file under a name that is not in use, and syncs its bytes. Its name lasts once
    /// [`Files::sync`] has been called.
    ///
    /// # Errors
    /// [`FileError`]
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FileError>;

    /// Gives a file another name, of which it takes the place at one blow.
    ///
    /// # Errors
    /// [`FileError`]
    fn rename(&self, from: &str, to: &str) -> Result<(), FileError>;

    /// Makes the names last.
    ///
    /// # Errors
    /// [`FileError`]
    fn sync(&self) -> Result<(), FileError>;

    /// Removes every file that is not to be kept.
    ///
    /// # Errors
    /// [`FileError`]
    fn remove_others(&self, keep: &dyn Fn(&str) -> bool) -> Result<(), FileError>;
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
}

impl Files for Directory {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FileError> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        let path = self.path.join(name);
        let mut file = File::create(&path).map_err(failed("create", &path))?;
        file.write_all(bytes).map_err(failed("write", &path))?;
        file.sync_all().map_err(failed("sync", &path))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        let to = self.path.join(to);
        fs::rename(self.path.join(from), &to).map_err(failed("replace", &to))
    }

    fn sync(&self) -> Result<(), FileError> {
        sync_directory(&self.path)
    }

    fn remove_others(&self, keep: &dyn Fn(&str) -> bool) -> Result<(), FileError> {
        let listing = fs::read_dir(&self.path).map_err(failed("list", &self.path))?;
        for entry in listing {
            let path = entry.map_err(failed("list", &self.path))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name != LOCK && !keep(name) {
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
