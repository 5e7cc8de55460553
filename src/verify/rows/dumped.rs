//! The rows of a store that anybody may read, copied before the journals' ends are taken: whatever is
//! in the copy must be in the journals that are read then.

use super::{super::Failure, source::Source};
use jupan_schemas::Lane;
use jupan_store::{Bookmark, LaneProgress, Portion, ScanStore};
use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// What was copied: portions behind each other, each with its length.
struct Dumped {
    path: PathBuf,
    file: BufReader<File>,
    progress: Vec<LaneProgress>,
}

/// Copies a store's rows to a file.
pub(in super::super) fn dump(
    store: &dyn ScanStore,
    path: &Path,
) -> Result<Box<dyn Source>, Failure> {
    let unread = |source| Failure::Rows { source };
    let mut progress = store.progress().map_err(unread)?;
    // Of what is not on disk a scan may leave something out.
    progress.iter_mut().for_each(|lane| lane.visible = lane.persisted);
    let io = |source| Failure::read(path, source);
    let mut file = BufWriter::new(File::create(path).map_err(io)?);
    let mut from = None;
    loop {
        let portion = store.scan(from.as_ref()).map_err(unread)?;
        write(&mut file, &portion).map_err(io)?;
        from = portion.next;
        if from.is_none() {
            break;
        }
    }
    drop(file.into_inner().map_err(|error| io(error.into_error()))?);
    let file = BufReader::new(File::open(path).map_err(io)?);
    Ok(Box::new(Dumped { path: path.to_owned(), file, progress }))
}

fn write(file: &mut impl Write, portion: &Portion) -> io::Result<()> {
    let bytes = postcard::to_stdvec(portion).map_err(io::Error::other)?;
    file.write_all(&u64::try_from(bytes.len()).map_err(io::Error::other)?.to_le_bytes())?;
    file.write_all(&bytes)
}

fn read(file: &mut impl Read) -> io::Result<Portion> {
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = usize::try_from(u64::from_le_bytes(length)).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    postcard::from_bytes(&bytes).map_err(io::Error::other)
}

impl Source for Dumped {
    fn name(&self) -> &'static str {
        "the store"
    }

    fn is_running(&self) -> bool {
        // They may have moved while they were copied.
        true
    }

    fn progress(&mut self) -> Result<Vec<LaneProgress>, Failure> {
        Ok(self.progress.clone())
    }

    /// Portions come in the order in which they were copied.
    fn portion(&mut self, from: Option<&Bookmark>) -> Result<Result<Portion, String>, Failure> {
        let rewound = match from {
            None => self.file.seek(SeekFrom::Start(0)).map(drop),
            Some(_) => Ok(()),
        };
        let portion = rewound.and_then(|()| read(&mut self.file));
        portion.map(Ok).map_err(|source| Failure::read(&self.path, source))
    }

    fn durable(&mut self) -> Result<Option<Vec<(Lane, u64)>>, Failure> {
        Ok(None)
    }
}
