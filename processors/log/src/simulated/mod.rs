//! A disk in memory, for tests of the embedded log: it keeps what
//! [`files`](crate::embedded::files) relies on, and not a byte more.
//!
//! What a process writes it sees at once, as through a page cache. A power cut leaves what was
//! synced, and of everything else what a [`Survival`] says: nothing, all, a prefix, any pages or
//! sectors, garbage. Names (creations, renames, removals) are changes of their directory and last
//! when that is synced. A sync of a file that fails takes what it could not write out of the cache's
//! duty: the process still sees it, and no later sync makes it last. What a failed sync of a directory
//! did not write waits for the next one: file systems journal names, or refuse everything from then on.
//!
//! Every change and sync is an [`Operation`] with a number. A [`Disk`] fails one as it is told, and
//! keeps the [`Moment`] before each of them, from which any number of crashes can be made: so one
//! run of a script is enough to try them all.

mod moment;
mod random;
mod state;
#[cfg(test)]
mod tests;

pub use moment::{Moment, Survival};
pub use random::Random;

use crate::embedded::files::{Files, Lock, SegmentFile};
use parking_lot::Mutex;
use state::{Entry, Key, State, key, parent};
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Input/output error, as a disk reports it.
pub const EIO: i32 = 5;
/// No space left.
pub const ENOSPC: i32 = 28;

/// What can be cut off or fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A file is made.
    Create,
    /// A directory is made.
    CreateDir,
    /// Bytes are written; zeros ahead are part of it.
    Write,
    /// A file's contents are made durable.
    Sync,
    /// A directory's names are made durable.
    SyncDir,
    /// A file gets another name.
    Rename,
    /// A file is removed.
    Remove,
}

/// One of the things that a process did to the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Counted from 1.
    pub number: u64,
    /// What.
    pub kind: Kind,
    /// With which file or directory.
    pub path: PathBuf,
}

impl fmt::Display for Operation {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "operation {}, {:?} of {}", self.number, self.kind, self.path.display())
    }
}

/// When operations fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation with this number, with this error of the system.
    Once(u64, i32),
    /// The operation with this number and all behind it: the process has ended.
    From(u64),
}

/// See the module. Clones are the same disk.
#[derive(Clone)]
pub struct Disk {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    state: State,
    operations: u64,
    fault: Option<Fault>,
    ignored: Option<Kind>,
    failed: Option<Operation>,
    /// Moments that nobody has taken yet, if they are kept.
    moments: Option<Vec<Moment>>,
    locked: HashSet<Key>,
}

impl Default for Disk {
    fn default() -> Self {
        Self::of(State::default())
    }
}

impl Disk {
    fn of(state: State) -> Self {
        let inner = Inner {
            state,
            operations: 0,
            fault: None,
            ignored: None,
            failed: None,
            moments: None,
            locked: HashSet::new(),
        };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.inner.lock().operations
    }

    /// Lets operations fail from now on.
    pub fn set_fault(&self, fault: Fault) {
        self.inner.lock().fault = Some(fault);
    }

    /// Lies from now on: operations of this kind succeed and do nothing.
    pub fn ignore(&self, kind: Kind) {
        self.inner.lock().ignored = Some(kind);
    }

    /// The first operation that failed.
    pub fn failed(&self) -> Option<Operation> {
        self.inner.lock().failed.clone()
    }

    /// From now on the moment before each operation is kept, until it is taken.
    pub fn keep_moments(&self) {
        self.inner.lock().moments = Some(Vec::new());
    }

    /// The moments kept since they were last taken.
    pub fn take_moments(&self) -> Vec<Moment> {
        self.inner.lock().moments.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// This moment, with no operation under way.
    pub fn moment(&self) -> Moment {
        let inner = self.inner.lock();
        Moment::new(inner.state.clone(), inner.operations, None)
    }

    /// What the process sees in a file.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let inner = self.inner.lock();
        let node = inner.state.file(&key(path))?;
        Some(inner.state.seen(node).to_vec())
    }

    /// The files below a directory, at any depth.
    pub fn files_below(&self, dir: &Path) -> Vec<PathBuf> {
        self.inner.lock().state.files_below(&key(dir))
    }

    /// Puts a file there, for good: what no process did, but a fault of the disk or an operator.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        self.inner.lock().state.put(key(path), bytes);
    }

    /// Takes a file away, for good.
    pub fn take_away(&self, path: &Path) {
        self.inner.lock().state.take_away(&key(path));
    }

    /// Counts an operation, and says whether it happens.
    fn begin(inner: &mut Inner, kind: Kind, path: &Path) -> io::Result<bool> {
        inner.operations += 1;
        let number = inner.operations;
        let operation = Operation { number, kind, path: path.to_owned() };
        if let Some(moments) = &mut inner.moments {
            moments.push(Moment::new(inner.state.clone(), number - 1, Some(operation.clone())));
        }
        inner.state.write_back(number);
        let error = match inner.fault {
            Some(Fault::Once(n, error)) if n == number => io::Error::from_raw_os_error(error),
            Some(Fault::From(n)) if n <= number => io::Error::other("the process has ended"),
            _ => return Ok(inner.ignored != Some(kind)),
        };
        inner.failed.get_or_insert(operation);
        Err(error)
    }

    /// An operation that fails leaves nothing.
    fn change(
        &self,
        kind: Kind,
        path: &Path,
        change: impl FnOnce(&mut State, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let inner = &mut *self.inner.lock();
        if Self::begin(inner, kind, path)? {
            change(&mut inner.state, inner.operations)?;
        }
        Ok(())
    }

    fn file(&self, node: usize) -> Arc<dyn SegmentFile> {
        Arc::new(OpenFile { disk: self.clone(), node })
    }
}

impl Files for Disk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn SegmentFile>> {
        let mut node = 0;
        self.change(Kind::Create, path, |state, number| {
            node = state.create(key(path), number)?;
            Ok(())
        })?;
        Ok(self.file(node))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn SegmentFile>> {
        let node = self.inner.lock().state.file(&key(path));
        Ok(self.file(node.ok_or(io::ErrorKind::NotFound)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(Kind::Rename, to, |state, number| state.rename(&key(from), key(to), number))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(Kind::Remove, path, |state, number| state.remove(key(path), number))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let inner = &mut *self.inner.lock();
        match Self::begin(inner, Kind::SyncDir, dir) {
            Ok(false) => Ok(()),
            Ok(true) => inner.state.sync_dir(&key(dir)),
            Err(error) => {
                if is_of_the_disk(&error) {
                    inner.state.settle_some(&key(dir), &mut Random::new(inner.operations));
                }
                Err(error)
            }
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.inner.lock().state.list(&key(dir))
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.inner.lock().state.is_dir(&key(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.change(Kind::CreateDir, path, |state, number| {
            let key = key(path);
            if state.entry(&key).is_some() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.name(parent(&key).to_vec(), vec![(key, Some(Entry::Dir))], number)
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        let key = key(path);
        let is_new = self.inner.lock().locked.insert(key.clone());
        Ok(is_new.then(|| Lock::held_by(Held { disk: self.clone(), key })))
    }
}

fn is_of_the_disk(error: &io::Error) -> bool {
    error.raw_os_error().is_some()
}

/// A lock on this disk; other disks made from its moments know nothing of it.
struct Held {
    disk: Disk,
    key: Key,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.disk.inner.lock().locked.remove(&self.key);
    }
}

struct OpenFile {
    disk: Disk,
    node: usize,
}

impl SegmentFile for OpenFile {
    /// A write that fails leaves a prefix.
    fn write_all_at(&self, bytes: &[u8], place: u64) -> io::Result<()> {
        let inner = &mut *self.disk.inner.lock();
        let begun = Disk::begin(inner, Kind::Write, &inner.state.name_of(self.node));
        let has_ended = matches!(inner.fault, Some(Fault::From(n)) if n < inner.operations);
        let written = match begun {
            Ok(_) => bytes,
            Err(_) if has_ended => &[],
            Err(_) => &bytes[..Random::new(inner.operations).index(bytes.len())],
        };
        if !written.is_empty() {
            inner.state.write(self.node, written, place, inner.operations)?;
        }
        begun.map(drop)
    }

    fn sync_data(&self) -> io::Result<()> {
        let inner = &mut *self.disk.inner.lock();
        let begun = Disk::begin(inner, Kind::Sync, &inner.state.name_of(self.node));
        match &begun {
            Ok(false) => {}
            Ok(true) => inner.state.sync(self.node),
            Err(error) if is_of_the_disk(error) => {
                inner.state.doom(self.node, &mut Random::new(inner.operations));
            }
            // The system goes on without the process: what it wrote stays in the cache.
            Err(_) => {}
        }
        begun.map(drop)
    }

    fn read_at(&self, buffer: &mut [u8], place: u64) -> io::Result<usize> {
        let inner = self.disk.inner.lock();
        let seen = inner.state.seen(self.node);
        let start = usize::try_from(place).unwrap_or(usize::MAX).min(seen.len());
        let read = buffer.len().min(seen.len() - start);
        buffer[..read].copy_from_slice(&seen[start..start + read]);
        Ok(read)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.inner.lock().state.seen(self.node).len() as u64)
    }
}
