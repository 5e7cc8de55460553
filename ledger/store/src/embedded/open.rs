//! Opening: lock, wipe what cannot be used, start.

use super::{
    EmbeddedStore, Rows,
    disk::{Disk, DiskError},
    flusher::Flusher,
    gatherer::{Gatherer, Pace},
    integrity,
    lanes::Lanes,
};
use crate::limits;
use jupan_schemas::Lane;
use parking_lot::Mutex;
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, atomic::AtomicUsize},
};

/// What of the store can be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Milliseconds between two batches to disk, while few rows wait.
    pub flush_interval_ms: u64,
    /// Rows in memory only: near it a batch goes to disk at once, at twice as many `apply` waits.
    /// A row with many lines counts as several.
    pub dirty_rows_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { flush_interval_ms: 500, dirty_rows_max: 200_000 }
    }
}

/// The store cannot be opened, and wiping it does not help.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("store {dir} is in use")]
    Locked {
        /// Which store.
        dir: PathBuf,
    },
    /// The file system refused something.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// Even a new one cannot be opened.
    #[error("cannot open the tables of store {dir}: {cause}")]
    Tables {
        /// Which store.
        dir: PathBuf,
        /// What happened.
        cause: String,
    },
}

impl EmbeddedStore {
    /// Opens or makes the store in a directory of its own. What cannot be used is wiped: its lanes
    /// have no watermark then, and rebuild it.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Arc<Self>, OpenError> {
        Self::open_at_pace(dir.as_ref(), options, Pace::default())
    }

    pub(super) fn open_at_pace(
        dir: &Path,
        options: Options,
        pace: Pace,
    ) -> Result<Arc<Self>, OpenError> {
        let io = |doing, path: &Path| {
            let path = path.to_path_buf();
            move |source| OpenError::Io { doing, path, source }
        };
        fs::create_dir_all(dir).map_err(io("make", dir))?;
        let lock = lock(dir)?;
        let (tables, broken_mark) = (dir.join("tables"), dir.join("broken"));
        let (disk, lanes) = match usable(&tables, &broken_mark) {
            Ok(opened) => opened,
            Err(Unusable::Transient(cause)) => {
                return Err(OpenError::Tables { dir: dir.to_path_buf(), cause });
            }
            Err(Unusable::Wipe(cause)) => {
                tracing::warn!(%cause, "the store is wiped and rebuilt from the journal");
                wipe(&tables).map_err(io("wipe", &tables))?;
                remove_mark(&broken_mark).map_err(io("remove", &broken_mark))?;
                usable(&tables, &broken_mark).map_err(|unusable| OpenError::Tables {
                    dir: dir.to_path_buf(),
                    cause: unusable.cause(),
                })?
            }
        };
        let rows = Arc::new(Rows {
            shards: (0..limits::SHARDS).map(|_| Mutex::default()).collect(),
            lanes: Lanes::restored(lanes),
            disk,
            unsaved: AtomicUsize::new(0),
            failure: OnceLock::new(),
            broken_mark,
            disk_reads: tokio::sync::Semaphore::new(limits::DISK_READS_MAX),
            _lock: lock,
        });
        let flusher = Flusher::start(Arc::clone(&rows), &options).map_err(io("write", dir))?;
        let gatherer = Gatherer::start(Arc::clone(&rows), pace).map_err(io("read", dir))?;
        Ok(Arc::new(Self { rows, flusher, gatherer }))
    }
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let locked = file.map_err(TryLockError::Error).and_then(|file| file.try_lock().map(|()| file));
    locked.map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::Locked { dir: dir.to_path_buf() },
        TryLockError::Error(source) => OpenError::Io { doing: "lock", path, source },
    })
}

/// Why tables are not used as they are.
pub(super) enum Unusable {
    /// The system is short of something; the tables may be fine.
    Transient(String),
    /// Nothing can be read from them with confidence.
    Wipe(String),
}

impl Unusable {
    fn cause(self) -> String {
        match self {
            Self::Transient(cause) | Self::Wipe(cause) => cause,
        }
    }
}

pub(super) type Opened = (Disk, Vec<(Lane, super::layout::LaneRow)>);

pub(super) fn usable(tables: &Path, broken_mark: &Path) -> Result<Opened, Unusable> {
    if broken_mark.exists() {
        return Err(Unusable::Wipe("its disk failed when it was last open".into()));
    }
    let heads = match integrity::heads(tables) {
        Ok(heads) => heads.map_err(Unusable::Wipe)?,
        Err(error) => return Err(unusable(&DiskError::Fjall(fjall::Error::Io(error)))),
    };
    // The library asserts on some broken files; nothing of ours is left half-done by a panic.
    let opened = std::panic::catch_unwind(|| -> Result<Result<Opened, String>, DiskError> {
        let disk = Disk::open(tables)?;
        if let Some(defect) = disk.defect(&heads)? {
            return Ok(Err(defect));
        }
        let lanes = disk.lanes()?;
        Ok(Ok((disk, lanes)))
    });
    match opened {
        Ok(Ok(opened)) => opened.map_err(Unusable::Wipe),
        Ok(Err(error)) => Err(unusable(&error)),
        Err(_) => Err(Unusable::Wipe("its files made the library panic".into())),
    }
}

fn unusable(error: &DiskError) -> Unusable {
    let cause = error.to_string();
    if is_transient(error) { Unusable::Transient(cause) } else { Unusable::Wipe(cause) }
}

/// Whether wiping would not help, or would throw away tables that are fine.
fn is_transient(error: &DiskError) -> bool {
    use io::ErrorKind as Kind;
    let source = match error {
        DiskError::Fjall(fjall::Error::Locked) => return true,
        DiskError::Fjall(fjall::Error::Io(source))
        | DiskError::Fjall(fjall::Error::Storage(fjall::LsmError::Io(source))) => source,
        _ => return false,
    };
    // 23 and 24: no file handles left, which std has no kind for.
    matches!(source.raw_os_error(), Some(23 | 24))
        || matches!(
            source.kind(),
            Kind::PermissionDenied
                | Kind::StorageFull
                | Kind::QuotaExceeded
                | Kind::ReadOnlyFilesystem
                | Kind::OutOfMemory
        )
}

fn wipe(tables: &Path) -> io::Result<()> {
    match fs::remove_dir_all(tables) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove_mark(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
