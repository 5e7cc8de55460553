//! The data directory: its lock, and the facts that were fixed when it was made.

use super::OpenError;
use super::files::{FileError, Files, Lock, read_whole};
use super::segment::FORMAT;
use crate::Clock;
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
    pub(crate) lock: Lock,
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
    let lock = lock(dir, files)?;
    let path = dir.join(FACTS);
    let lanes = match read_whole(files, &path) {
        Ok(bytes) => {
            let made = read_facts(&path, &bytes)?;
            refuse_facts_without_log(&log, files)?;
            if let Some(asked) = lanes.filter(|asked| *asked != made) {
                return Err(OpenError::Lanes { dir: dir.to_owned(), made, asked });
            }
            // An earlier start may have been killed before it made their name durable.
            FileError::of("sync", dir, files.sync_dir(dir))?;
            made
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_dir(&log, files)?;
            refuse_segments_without_facts(&path, &log, files)?;
            sync_ancestors(dir, files)?;
            let lanes = lanes.unwrap_or_else(default_lanes).max(1);
            let created_at = clock.now().0.to_string();
            write_facts(dir, &Facts::new(lanes, created_at), files)?;
            lanes
        }
        Err(source) => return Err(OpenError::io(&path, source)),
    };
    Ok(Directory { log, lanes, lock })
}

/// Half the cores: the other half serves requests, readers and the disk.
fn default_lanes() -> u16 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(cores / 2).unwrap_or(u16::MAX)
}

fn make_dir(dir: &Path, files: &dyn Files) -> Result<(), OpenError> {
    if files.is_dir(dir) {
        return Ok(());
    }
    make_dir(parent_of(dir), files)?;
    match files.create_dir(dir) {
        // Somebody else was faster; a file in its place is none.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && files.is_dir(dir) => Ok(()),
        made => made.map_err(|source| OpenError::io(dir, source)),
    }
}

fn parent_of(dir: &Path) -> &Path {
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or_else(|| Path::new("."))
}

/// Makes the names of the directory and of all above it durable. Any of them may have been made just
/// now, or by an earlier start that was killed before it could do this. Nobody makes a directory in
/// one that may not be read, and a file system that syncs none would refuse the log's, too.
fn sync_ancestors(dir: &Path, files: &dyn Files) -> Result<(), OpenError> {
    use io::ErrorKind as Kind;
    for parent in dir.ancestors().filter(|named| named.parent().is_some()).map(parent_of) {
        match files.sync_dir(parent).map_err(|source| (source.kind(), source)) {
            Err((Kind::PermissionDenied | Kind::InvalidInput | Kind::Unsupported, _)) => {}
            synced => synced.map_err(|(_, source)| OpenError::io(parent, source))?,
        }
    }
    Ok(())
}

fn lock(dir: &Path, files: &dyn Files) -> Result<Lock, OpenError> {
    let path = dir.join("LOCK");
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match files.lock(&path) {
            Ok(Some(lock)) => return Ok(lock),
            Err(source) => return Err(OpenError::io(&path, source)),
            Ok(None) if Instant::now() < deadline => {
                // tidy: allow(sleep) a lock tells nobody that it is free
                thread::sleep(Duration::from_millis(20));
            }
            Ok(None) => return Err(OpenError::Locked { dir: dir.to_owned() }),
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

/// Facts are written when the log's directory is there for good: where it is missing, so is the log.
fn refuse_facts_without_log(log: &Path, files: &dyn Files) -> Result<(), OpenError> {
    match files.list(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(OpenError::corrupt(log, 0, "the directory with the segments is missing"))
        }
        listed => listed.map(drop).map_err(|source| OpenError::io(log, source)),
    }
}

fn write_facts(dir: &Path, facts: &Facts, files: &dyn Files) -> Result<(), OpenError> {
    let path = dir.join(FACTS);
    let temporary = dir.join("jupan.json.tmp");
    let bytes = serde_json::to_vec(facts).map_err(|error| OpenError::io(&path, error.into()))?;
    let file = FileError::of("create", &temporary, files.create(&temporary))?;
    FileError::of("write", &temporary, file.write_all_at(&bytes, 0))?;
    FileError::of("sync", &temporary, file.sync_data())?;
    FileError::of("rename", &temporary, files.rename(&temporary, &path))?;
    FileError::of("sync", dir, files.sync_dir(dir))?;
    Ok(())
}
