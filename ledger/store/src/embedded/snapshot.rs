//! A store that nobody has open, looked through without changing a bit of it: its small files are
//! copied, its sorted ones are only pointed at, and the copy is opened.

use super::{
    disk::{Disk, OTHER_FORMAT},
    layout::LaneRow,
    open::{OpenError, Unusable, usable},
};
use crate::{Bookmark, LaneProgress, Portion, StoreError};
use jupan_schemas::Lane;
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

/// Copied at once; a stretch of zeros becomes a hole.
const COPY_BYTES: usize = 64 * 1024;

/// What was found where a store belongs.
pub enum Sighting {
    /// No store: the next start makes one from the journals.
    None,
    /// A store that the next start wipes and makes anew, as it was made to do.
    Condemned(String),
    /// A store that nobody could use: the next start wipes it and makes it anew.
    Unusable(String),
    /// A store as it lies there.
    Store(Snapshot),
}

/// A store as it lies on disk.
pub struct Snapshot {
    disk: Disk,
    lanes: Vec<(Lane, LaneRow)>,
}

impl Snapshot {
    /// Looks at the store in `dir`. `scratch` is an empty directory of the caller's, which must
    /// outlive the snapshot.
    ///
    /// # Errors
    /// [`OpenError`] where the system refuses something.
    pub fn open(dir: &Path, scratch: &Path) -> Result<Sighting, OpenError> {
        let (tables, copied) = (dir.join("tables"), scratch.join("tables"));
        if !tables.try_exists().map_err(|source| io_error("read", &tables, source))? {
            return Ok(Sighting::None);
        }
        let broken_mark = dir.join("broken");
        if broken_mark.exists() {
            return Ok(Sighting::Condemned("its disk failed when it was last open".to_owned()));
        }
        mirror(&tables, &copied).map_err(|(path, source)| io_error("copy", &path, source))?;
        match usable(&copied, &scratch.join("broken")) {
            Ok((disk, lanes)) => Ok(Sighting::Store(Self { disk, lanes })),
            Err(Unusable::Wipe(cause)) if cause == OTHER_FORMAT => Ok(Sighting::Condemned(cause)),
            Err(Unusable::Wipe(cause)) => Ok(Sighting::Unusable(cause)),
            Err(Unusable::Transient(cause)) => {
                Err(OpenError::Tables { dir: dir.to_path_buf(), cause })
            }
        }
    }

    /// How far every lane is that ever wrote there.
    pub fn progress(&self) -> Vec<LaneProgress> {
        let progress = |(lane, row): &(Lane, LaneRow)| LaneProgress {
            lane: *lane,
            visible: row.watermark,
            persisted: row.watermark,
            applied: row.applied,
        };
        self.lanes.iter().map(progress).collect()
    }

    /// The next portion of a scan.
    ///
    /// # Errors
    /// [`StoreError::Broken`] where the files cannot be read on.
    pub fn scan(&self, from: Option<&Bookmark>) -> Result<Portion, StoreError> {
        self.disk.scan(from).map_err(|error| StoreError::Broken {
            doing: "look through the rows",
            cause: error.to_string(),
        })
    }
}

fn io_error(doing: &'static str, path: &Path, source: io::Error) -> OpenError {
    OpenError::Io { doing, path: path.to_path_buf(), source }
}

type At = (std::path::PathBuf, io::Error);

/// Makes `to` look like `from`. Whoever opens it may write and remove there as it likes.
fn mirror(from: &Path, to: &Path) -> Result<(), At> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| (path, source)
    };
    fs::create_dir_all(to).map_err(at(to))?;
    // Sorted files are written once and never again: they can be read where they are.
    let is_sorted = from.file_name().is_some_and(|name| name == "tables") && is_of_keyspace(from);
    for entry in fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().map_err(at(&path))?.is_dir() {
            mirror(&path, &target)?;
        } else if is_sorted {
            let path = fs::canonicalize(&path).map_err(at(&path))?;
            std::os::unix::fs::symlink(&path, &target).map_err(at(&target))?;
        } else {
            copy(&path, &target).map_err(at(&path))?;
        }
    }
    Ok(())
}

/// Whether a directory lies below one called `keyspaces`, as those with sorted files do.
fn is_of_keyspace(dir: &Path) -> bool {
    dir.ancestors().nth(2).and_then(Path::file_name).is_some_and(|name| name == "keyspaces")
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut target = File::create(to)?;
    let mut block = vec![0; COPY_BYTES];
    let mut bytes = 0;
    loop {
        let read = source.read(&mut block)?;
        if read == 0 {
            return target.set_len(bytes);
        }
        bytes += read as u64;
        if block[..read].iter().all(|byte| *byte == 0) {
            target.seek(SeekFrom::Start(bytes))?;
        } else {
            target.write_all(&block[..read])?;
        }
    }
}
