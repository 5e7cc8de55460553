//! Files that fail, tear or hold any single operation, and that know what a crash may take away.

use crate::embedded::files::{Files, Lock, RealFiles, SegmentFile};
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Input/output error, as a disk reports it.
pub(crate) const EIO: i32 = 5;
/// No space left.
pub(crate) const ENOSPC: i32 = 28;

/// When operations fail; they are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    Never,
    /// Only the n-th, with this error; it leaves nothing.
    Once(u64, i32),
    /// The n-th and all after it: a kill. A write that is cut off by it leaves its first half.
    From(u64),
}

/// How far a file was written, and how far of that was synced.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    written: u64,
    synced: u64,
}

struct Inner {
    failing: Failing,
    operations: u64,
    syncs: u64,
    /// Syncs that may still happen, if they are held.
    permits: Option<u64>,
    extents: HashMap<PathBuf, Extent>,
}

/// Counts what changes files, and fails it as it is told.
#[derive(Clone)]
pub(crate) struct TestFiles {
    inner: Arc<Mutex<Inner>>,
    released: Arc<Condvar>,
}

impl TestFiles {
    pub(crate) fn new(failing: Failing) -> Self {
        let inner =
            Inner { failing, operations: 0, syncs: 0, permits: None, extents: HashMap::new() };
        Self { inner: Arc::new(Mutex::new(inner)), released: Arc::new(Condvar::new()) }
    }

    /// Operations so far.
    pub(crate) fn operations(&self) -> u64 {
        self.inner.lock().operations
    }

    /// How much of a file is surely on the disk.
    pub(crate) fn synced_bytes(&self, path: &Path) -> u64 {
        self.inner.lock().extents[path].synced
    }

    /// Syncs of files that were tried.
    pub(crate) fn syncs(&self) -> u64 {
        self.inner.lock().syncs
    }

    /// Lets the operation after this many more fail.
    pub(crate) fn fail_after(&self, more: u64, error: i32) {
        let mut inner = self.inner.lock();
        inner.failing = Failing::Once(inner.operations + 1 + more, error);
    }

    /// Lets every sync wait until it is released.
    pub(crate) fn hold(&self, is_held: bool) {
        self.inner.lock().permits = is_held.then_some(0);
        self.released.notify_all();
    }

    /// Holds every sync until what this returns is dropped, so that a failed test does not wait for
    /// ever.
    pub(crate) fn held(&self) -> Held {
        self.hold(true);
        Held(self.clone())
    }

    /// Lets one of the held syncs happen.
    pub(crate) fn release_one(&self) {
        if let Some(permits) = &mut self.inner.lock().permits {
            *permits += 1;
        }
        self.released.notify_all();
    }

    /// Counts an operation. `Ok(true)`: it is the one that is cut off.
    fn count(&self) -> io::Result<bool> {
        let mut inner = self.inner.lock();
        inner.operations += 1;
        match inner.failing {
            Failing::Once(n, error) if n == inner.operations => {
                Err(io::Error::from_raw_os_error(error))
            }
            Failing::From(n) if n == inner.operations => Ok(true),
            Failing::From(n) if n < inner.operations => Err(killed()),
            _ => Ok(false),
        }
    }

    fn count_whole(&self) -> io::Result<()> {
        if self.count()? { Err(killed()) } else { Ok(()) }
    }

    /// Copies a directory as a power cut may leave it: of what was written and not synced, a seed
    /// decides how much is there; the rest of the file is zeros.
    pub(crate) fn copy_after_power_cut(&self, from: &Path, to: &Path, seed: u64) {
        let extents = self.inner.lock().extents.clone();
        copy_dir(from, to);
        for (path, extent) in extents {
            let Ok(place) = path.strip_prefix(from) else { continue };
            let Ok(mut bytes) = fs::read(to.join(place)) else { continue };
            let unsynced = extent.written - extent.synced;
            let cut = extent.synced + seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (unsynced + 1);
            let cut = usize::try_from(cut).expect("it fits").min(bytes.len());
            bytes[cut..].fill(0);
            fs::write(to.join(place), bytes).expect("write the copy");
        }
    }
}

/// Releases held syncs.
pub(crate) struct Held(TestFiles);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.hold(false);
    }
}

fn killed() -> io::Error {
    io::Error::other("the process was killed")
}

/// Copies a data directory, whatever happens to it meanwhile.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("make a directory");
    let mut found: Vec<_> =
        fs::read_dir(from).expect("list").map(|found| found.expect("list").path()).collect();
    found.sort();
    for path in found {
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_dir(&path, &target);
        } else if let Ok(bytes) = fs::read(&path) {
            fs::write(target, bytes).expect("copy a file");
        }
    }
}

impl Files for TestFiles {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn SegmentFile>> {
        self.count_whole()?;
        let file = RealFiles.create(path)?;
        let mut inner = self.inner.lock();
        inner.extents.insert(path.to_owned(), Extent::default());
        Ok(Arc::new(TestFile { file, files: self.clone(), path: Mutex::new(path.to_owned()) }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn SegmentFile>> {
        RealFiles.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.count_whole()?;
        RealFiles.rename(from, to)?;
        let mut inner = self.inner.lock();
        if let Some(extent) = inner.extents.remove(from) {
            inner.extents.insert(to.to_owned(), extent);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.count_whole()?;
        RealFiles.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.count_whole()?;
        RealFiles.sync_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        RealFiles.list(dir)
    }

    fn is_dir(&self, path: &Path) -> bool {
        RealFiles.is_dir(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.count_whole()?;
        RealFiles.create_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        RealFiles.lock(path)
    }
}

struct TestFile {
    file: Arc<dyn SegmentFile>,
    files: TestFiles,
    path: Mutex<PathBuf>,
}

impl TestFile {
    /// Changes what is known of the file, which may have got its final name meanwhile.
    fn note(&self, change: impl FnOnce(&mut Extent)) {
        let mut inner = self.files.inner.lock();
        let mut path = self.path.lock();
        if path.extension().is_some_and(|extension| extension == "tmp")
            && !inner.extents.contains_key(&*path)
        {
            path.set_extension("");
        }
        if let Some(extent) = inner.extents.get_mut(&*path) {
            change(extent);
        }
    }
}

impl SegmentFile for TestFile {
    fn write_all_at(&self, bytes: &[u8], place: u64) -> io::Result<()> {
        let is_cut = self.files.count()?;
        let written = if is_cut { &bytes[..bytes.len() / 2] } else { bytes };
        self.file.write_all_at(written, place)?;
        let end = place + written.len() as u64;
        self.note(|extent| {
            extent.written = extent.written.max(end);
            extent.synced = extent.synced.min(place);
        });
        if is_cut { Err(killed()) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.files.inner.lock();
        inner.syncs += 1;
        self.files.released.wait_while(&mut inner, |inner| inner.permits == Some(0));
        inner.permits = inner.permits.map(|permits| permits - 1);
        drop(inner);
        self.files.count_whole()?;
        self.file.sync_data()?;
        self.note(|extent| extent.synced = extent.written);
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], place: u64) -> io::Result<usize> {
        self.file.read_at(buffer, place)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
