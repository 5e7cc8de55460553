//! Access to files behind a small trait, so that a test can fail, or hold, any single write or
//! sync.

use std::fs::{self, File, OpenOptions};
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
