//! What the library does not check of its own files, checked before it opens them.
//!
//! Rows in sorted files lie in blocks with checksums, and the rows of a batch in a journal have one,
//! too. But
//! - a **manifest**, which says what sorted files a table has, is taken as it is (a flipped count
//!   makes the library allocate without limit), although the pointer to it carries its checksum;
//! - the **head of a batch** has no checksum: a flipped order number lets older rows win, or has the
//!   batch passed over;
//! - a **journal** that breaks off is taken for one that ends, though others follow, and one that
//!   is missing for one that was never needed.
//!
//! ```text
//! tables/keyspaces/<table>/current: u64 manifest · u128 its xxh3 · u8 zero
//! tables/keyspaces/<table>/v<manifest>
//! tables/<number>.jnl: batches, then zeros
//!   batch: u8 1 · u32 items · u64 order number | items | u8 3 · u64 xxh3 of the items · "FJL" 3
//!   item:  u8 2 · u8 kind · u8 compression · u64 table · u16 key length · u32 value length
//!          u32 stored length · key · value
//! ```
//! All numbers are little-endian. Where this cannot be read, the store is made anew.

use super::layout::{SEAL_KEY, sealed_batch};
use std::{
    fs::{self, File},
    io::{self, BufReader, ErrorKind, Read},
    path::{Path, PathBuf},
};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// A pointer to a manifest.
const POINTER_BYTES: usize = 25;
/// Larger than any manifest: a few dozen bytes for each sorted file.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;
const READ_BUFFER_BYTES: usize = 256 * 1024;
const BATCH: u8 = 1;
const ITEM: u8 = 2;
const BATCH_END: u8 = 3;
/// Of an item, before its key.
const ITEM_HEAD_BYTES: usize = 21;
/// Behind a batch's checksum.
const MAGIC: &[u8] = b"FJL\x03";

/// A batch in a journal: its place among the others by the library's number, and by ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The library's: of two rows with one key the higher one wins.
    pub(super) order: u64,
    /// Of the [`SEAL_KEY`]'s value: each batch has the next one.
    pub(super) sealed: u64,
}

/// The batches in all journals, or why the files cannot be what was written.
///
/// # Errors
/// Where the system refuses something.
pub(super) fn heads(tables: &Path) -> io::Result<Result<Vec<Head>, String>> {
    for table in below(&tables.join("keyspaces"))? {
        if let Some(defect) = manifest_defect(&table)? {
            return Ok(Err(defect));
        }
    }
    let number = |path: &PathBuf| path.file_stem()?.to_str()?.parse::<u64>().ok();
    let is_journal = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "jnl");
    let mut journals: Vec<_> = below(tables)?.into_iter().filter(is_journal).collect();
    journals.sort_by_key(number);
    let mut heads: Vec<Head> = Vec::new();
    for path in journals {
        let file = File::open(&path)?;
        let left = file.metadata()?.len();
        let file = BufReader::with_capacity(READ_BUFFER_BYTES, file);
        let mut journal = Journal { file, left, items: Vec::new() };
        if let Some(what) = journal.read_heads(&mut heads)? {
            return Ok(Err(format!("{} has a batch that {what}", path.display())));
        }
    }
    Ok(Ok(heads))
}

fn below(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

/// A table without a pointer was never finished, for the library: it makes the table anew, and that
/// its rows are gone shows in its seal.
fn manifest_defect(table: &Path) -> io::Result<Option<String>> {
    let pointer = match fs::read(table.join("current")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        pointer => pointer?,
    };
    let broken = |what: &str| Ok(Some(format!("{} {what}", table.display())));
    let Ok(pointer) = <[u8; POINTER_BYTES]>::try_from(pointer) else {
        return broken("has a pointer to its manifest that is none");
    };
    let (number, checksum) = (number_at(&pointer[..8]), &pointer[8..24]);
    let manifest = match File::open(table.join(format!("v{number}"))) {
        Err(error) if error.kind() == ErrorKind::NotFound => return broken("has no manifest"),
        file => file?,
    };
    let mut bytes = Vec::new();
    manifest.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes)?;
    if xxh3_128(&bytes).to_le_bytes() != checksum {
        return broken("has a manifest whose checksum does not fit");
    }
    Ok(None)
}

fn number_at(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What a batch says about itself.
struct Batch {
    order: u64,
    sealed: Option<u64>,
    /// Whether its items fit its checksum.
    is_sound: bool,
}

/// A journal on its way through.
struct Journal {
    file: BufReader<File>,
    left: u64,
    /// The present batch's, as they are in the file.
    items: Vec<u8>,
}

impl Journal {
    /// Adds the heads of all batches; says what is wrong with one, if so. A journal ends where no
    /// whole batch is: there a write was cut off.
    fn read_heads(&mut self, heads: &mut Vec<Head>) -> io::Result<Option<&'static str>> {
        loop {
            let batch = match self.read_batch() {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
                read => read?,
            };
            let Some(Batch { order, sealed, is_sound }) = batch else { return Ok(None) };
            if !is_sound {
                return Ok(Some("does not fit its checksum"));
            }
            // A batch that is not ours: of another format, or of a test.
            let Some(sealed) = sealed else { continue };
            let follows = |last: &Head| sealed == last.sealed + 1 && order > last.order;
            if !heads.last().is_none_or(follows) {
                return Ok(Some("does not follow the one before it"));
            }
            heads.push(Head { order, sealed });
        }
    }

    fn read_batch(&mut self) -> io::Result<Option<Batch>> {
        if self.take::<1>()? != [BATCH] {
            return Ok(None);
        }
        let count = number_at(&self.take::<4>()?);
        let order = number_at(&self.take::<8>()?);
        self.items.clear();
        let mut sealed = None;
        for _ in 0..count {
            let item = self.items.len();
            self.read_item(ITEM_HEAD_BYTES as u64)?;
            let head = &self.items[item..];
            if head[0] != ITEM {
                return Ok(None);
            }
            let (key_bytes, value_bytes) = (number_at(&head[11..13]), number_at(&head[17..21]));
            self.read_item(key_bytes + value_bytes)?;
            let body = &self.items[item + ITEM_HEAD_BYTES..];
            if key_bytes == SEAL_KEY.len() as u64 && body.starts_with(SEAL_KEY) {
                sealed = sealed_batch(&body[SEAL_KEY.len()..]);
            }
        }
        let [tag, end @ ..] = self.take::<13>()?;
        let (checksum, magic) = end.split_at(8);
        let is_sound = number_at(checksum) == xxh3_64(&self.items);
        let is_whole = tag == BATCH_END && magic == MAGIC;
        Ok(is_whole.then_some(Batch { order, sealed, is_sound }))
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.spend(N as u64)?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads on into the batch's items.
    fn read_item(&mut self, bytes: u64) -> io::Result<()> {
        self.spend(bytes)?;
        let read = (&mut self.file).take(bytes).read_to_end(&mut self.items)?;
        if read as u64 == bytes { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    /// Nothing beyond the file's end is asked for.
    fn spend(&mut self, bytes: u64) -> io::Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or(ErrorKind::UnexpectedEof)?;
        Ok(())
    }
}
