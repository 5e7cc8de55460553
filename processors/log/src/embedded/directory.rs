//! The data directory: its lock, and the facts that were fixed when it was made.

use super::OpenError;
use super::files::Files;
use super::segment::FORMAT;
use crate::Clock;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

const FACTS: &str = "jupan.json";
/// A predecessor that is being killed may hold its lock for a moment.
const LOCK_WAIT: Duration = Duration::from_millis(500);

/// What `jupan.json` says.
#[derive(serde::Serialize, serde::Deserialize)]
struct Facts {
    format: u64,
    lanes: u16,
    #[serde(rename = "createdAt")]
    created_at: String,
    /// Checksum of the others: another number of lanes would read the log as a different shop's.
    /// Absent in directories of the first version, and in a file that was written by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    check: Option<String>,
}

impl Facts {
    fn new(lanes: u16, created_at: String) -> Self {
        let facts = Self { format: FORMAT.into(), lanes, created_at, check: None };
        Self { check: Some(facts.checksum()), ..facts }
    }

    fn checksum(&self) -> String {
        let Self { format, lanes, created_at, .. } = self;
        format!("{:08x}", crc32c::crc32c(format!("{format} {lanes} {created_at}").as_bytes()))
    }
}

/// A locked data directory.
pub(crate) struct Directory {
    pub(crate) log: PathBuf,
    pub(crate) lanes: u16,
    /// Held while the log is open.
    pub(crate) lock: File,
}

/// Makes the directory if it is missing, locks it, and reads or fixes its number of lanes.
pub(crate) fn enter(
    dir: &Path,
    lanes: Option<u16>,
    files: &dyn Files,
    clock: &dyn Clock,
) -> Result<Directory, OpenError> {
    let log = dir.join("log");
    make_dir(dir, files)?;
    let lock = lock(dir)?;
    let path = dir.join(FACTS);
    let lanes = match fs::read(&path) {
        Ok(bytes) => {
            let made = read_facts(&path, &bytes)?;
            match lanes.filter(|asked| *asked != made) {
                Some(asked) => return Err(OpenError::Lanes { dir: dir.to_owned(), made, asked }),
                None => made,
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_dir(&log, files)?;
            refuse_segments_without_facts(&path, &log, files)?;
            sync_parent(dir, files)?;
            let lanes = lanes.unwrap_or_else(default_lanes).max(1);
            let created_at = clock.now().0.to_string();
            write_facts(dir, &Facts::new(lanes, created_at), files)?;
            lanes
        }
        Err(source) => return Err(OpenError::io(&path, source)),
    };
    make_dir(&log, files)?;
    Ok(Directory { log, lanes, lock })
}

/// Half the cores: the other half serves requests, readers and the disk.
fn default_lanes() -> u16 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(cores / 2).unwrap_or(u16::MAX)
}

fn make_dir(dir: &Path, files: &dyn Files) -> Result<(), OpenError> {
    if dir.is_dir() {
        return Ok(());
    }
    make_dir(parent_of(dir), files)?;
    match fs::create_dir(dir) {
        // Somebody else was faster; a file in its place is none.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
        made => made.map_err(|source| OpenError::io(dir, source))?,
    }
    sync_parent(dir, files)
}

fn parent_of(dir: &Path) -> &Path {
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or_else(|| Path::new("."))
}

/// Makes the directory's own name durable, also if an earlier start made it and was killed before
/// it could do this. Nobody makes a directory in one that may not be read.
fn sync_parent(dir: &Path, files: &dyn Files) -> Result<(), OpenError> {
    let parent = parent_of(dir);
    match files.sync_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced.map_err(|source| OpenError::io(parent, source)),
    }
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("LOCK");
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(false).open(&path);
    let file = opened.map_err(|source| OpenError::io(&path, source))?;
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(OpenError::io(&path, source)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                // tidy: allow(sleep) a lock tells nobody that it is free
                thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Locked { dir: dir.to_owned() });
            }
        }
    }
}

fn read_facts(path: &Path, bytes: &[u8]) -> Result<u16, OpenError> {
    let broken = |cause: String| OpenError::Facts { path: path.to_owned(), cause };
    // The format is read first: another one may have other fields.
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(format) => return Err(OpenError::Format { path: path.to_owned(), format }),
        None => return Err(broken("it names no format".to_owned())),
    }
    let facts: Facts = serde_json::from_value(value).map_err(|error| broken(error.to_string()))?;
    if facts.check.as_ref().is_some_and(|check| *check != facts.checksum()) {
        return Err(broken("its check does not fit what it says".to_owned()));
    }
    if facts.lanes == 0 {
        return Err(broken("it names no lanes".to_owned()));
    }
    Ok(facts.lanes)
}

/// Records without the number of lanes that they were partitioned for must not be guessed at.
fn refuse_segments_without_facts(
    path: &Path,
    log: &Path,
    files: &dyn Files,
) -> Result<(), OpenError> {
    let found = files.list(log).map_err(|source| OpenError::io(log, source))?;
    let has_segments = found.iter().any(|path| super::segment::position_of(path).is_some());
    let cause = "it is missing, but there are segments".to_owned();
    if has_segments { Err(OpenError::Facts { path: path.to_owned(), cause }) } else { Ok(()) }
}

fn write_facts(dir: &Path, facts: &Facts, files: &dyn Files) -> Result<(), OpenError> {
    let path = dir.join(FACTS);
    let temporary = dir.join("jupan.json.tmp");
    let write = || {
        let file = files.create(&temporary)?;
        file.write_all_at(&serde_json::to_vec(facts)?, 0)?;
        file.sync_data()?;
        files.rename(&temporary, &path)?;
        files.sync_dir(dir)
    };
    write().map_err(|source: io::Error| OpenError::io(&path, source))
}
