//! Access to files behind a small trait, so that a test can fail, hold, or cut off any single write,
//! sync, creation or rename. The log calls it once a group of frames, never once a record.
//!
//! What the log relies on, and a simulated disk therefore gives no more than:
//! - what [`SegmentFile::sync_data`] covered survives a power cut, with the file's length;
//! - a name survives once [`Files::sync_dir`] has covered it, and a rename happens whole or not at
//!   all;
//! - a write changes no byte but its own, even when power fails in the middle of it;
//! - after a failed sync nothing is known of the file's contents, and a later sync proves nothing.

use std::any::Any;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the log does to its directory. Nothing is tried twice: the first error ends the log.
pub trait Files: Send + Sync {
    /// A new, empty file, for writing and reading; an old one with this path is emptied.
    ///
    /// # Errors
    /// Any [`io::Error`]
    fn create(&self, path: &Path) -> io::Result<Arc<dyn SegmentFile>>;

    /// An existing file, for reading.
    ///
    /// # Errors
    /// Any [`io::Error`]
    fn open(&self, path: &Path) -> io::Result<Arc<dyn SegmentFile>>;

    /// Gives a file another name, replacing what had it.
    ///
    /// # Errors
    /// Any [`io::Error`]
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Any [`io::Error`]
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes creations and renames in a directory durable.
    ///
    /// # Errors
    /// Any [`io::Error`]
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// The files in a directory.
    ///
    /// # Errors
    /// Any [`io::Error`]
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;

    /// Whether there is a directory of this name.
    fn is_dir(&self, path: &Path) -> bool;

    /// Makes a directory; its parent has to be there.
    ///
    /// # Errors
    /// Any [`io::Error`]
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Locks a file, which is made if it is missing, until what is returned is dropped. `None`:
    /// somebody else has it.
    ///
    /// # Errors
    /// Any [`io::Error`]
    fn lock(&self, path: &Path) -> io::Result<Option<Lock>>;
}

/// A lock that is held. The system gives it up when the process ends, whatever happens.
pub struct Lock {
    _held: Box<dyn Any + Send>,
}

impl Lock {
    /// Held as long as this value lives.
    pub fn held_by(value: impl Any + Send) -> Self {
        Self { _held: Box::new(value) }
    }
}

/// What could not be done with a file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", path.display())]
pub struct FileError {
    /// What was tried.
    pub doing: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// Names what was tried with which file.
    pub(crate) fn of<T>(
        doing: &'static str,
        path: &Path,
        result: io::Result<T>,
    ) -> Result<T, Self> {
        result.map_err(|source| Self { doing, path: path.to_owned(), source })
    }

    /// What an operator needs: the file, what the system said, and what to do about it.
    pub(crate) fn told(&self) -> String {
        use io::ErrorKind as Kind;
        let remedy = match self.source.kind() {
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => "make room",
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => "make it writable",
            _ => "look at the disk and the system's messages",
        };
        format!("{self}: {}; {remedy}", self.source)
    }
}

/// The contents of a file, from its start to its end.
pub(crate) fn read_whole(files: &dyn Files, path: &Path) -> io::Result<Vec<u8>> {
    let file = files.open(path)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// One open file.
pub trait SegmentFile: Send + Sync {
    /// Writes all bytes at a place in the file.
    ///
    /// # Errors
    /// Any [`io::Error`]
    fn write_all_at(&self, bytes: &[u8], place: u64) -> io::Result<()>;

    /// Makes the file's contents durable.
    ///
    /// # Errors
    /// Any [`io::Error`]; afterwards nothing is known about the contents.
    fn sync_data(&self) -> io::Result<()>;

    /// Fills the buffer from a place on; less only at the file's end.
    ///
    /// # Errors
    /// Any [`io::Error`]
    fn read_at(&self, buffer: &mut [u8], place: u64) -> io::Result<usize>;

    /// The file's size.
    ///
    /// # Errors
    /// Any [`io::Error`]
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// Any [`io::Error`]
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// The machine's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFiles;

impl Files for RealFiles {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn SegmentFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        Ok(Arc::new(RealFile(options.open(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn SegmentFile>> {
        Ok(Arc::new(RealFile(File::open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(dir)?.map(|found| Ok(found?.path())).collect()
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock::held_by(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(source),
        }
    }
}

struct RealFile(File);

impl SegmentFile for RealFile {
    fn write_all_at(&self, bytes: &[u8], place: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, place)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn read_at(&self, buffer: &mut [u8], place: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read_at(&mut buffer[filled..], place + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}
