//! The state on disk: one file a day of buckets, and a manifest that names them together with the
//! input positions.
//!
//! Every file is `format byte, postcard body, crc32c of both (little endian)`. A day that changed
//! is written under a new name; the manifest is replaced when all it names is durable; then the old
//! files go. So whenever a kill comes, the directory holds one complete state: the old or the new.
//! A body never changes its shape under the same format byte. Another format, or a broken file,
//! means to count again from the log.

use crate::{
    Clock, FileError, History,
    buckets::{Buckets, Day, SoldMinutes},
    files::Files,
    history::Facts,
    minute::{MINUTES_OF_DAY, Minute},
    totals::Sums,
};
use jupan_schemas::{
    Micros, Money, ProductId, Units,
    planted::{Bug, is_planted},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, HashSet};

/// The one file that is replaced, atomically: it names all others.
const MANIFEST: &str = "manifest";
/// Its successor, until it is complete.
const MANIFEST_NEXT: &str = "manifest.next";

/// Version of both files' bodies: rises with any change of [`Manifest`] or [`DayFile`].
const FORMAT: u8 = 1;
const CRC_BYTES: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// 0 the wall clock, 1 the event clock.
    pub(crate) clock: u8,
    pub(crate) sales_days: u32,
    /// Next unread offset of every partition of `sales`.
    pub(crate) positions: Vec<u64>,
    pub(crate) newest: Option<i64>,
    pub(crate) kept_from: i64,
    pub(crate) dropped: u64,
    pub(crate) unreadable: u64,
    /// The number that the next file will have.
    pub(crate) next_file: u64,
    pub(crate) days: Vec<NamedDay>,
}

/// A day, the number of its file, and the checksum at that file's end: a whole file of the right
/// name is not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamedDay {
    pub(crate) day: i64,
    pub(crate) file: u64,
    pub(crate) crc: u32,
}

impl NamedDay {
    fn name(self) -> String {
        format!("day-{}-{}", self.day, self.file)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DayFile {
    pub(crate) day: i64,
    /// In order, each with its place within the day; in a minute the products are in order.
    pub(crate) minutes: Vec<(u16, Vec<ProductRow>)>,
}

/// Product id, units, amount.
type ProductRow = (u64, i64, i64);

/// The saved state cannot be used; the log can.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("{name} is missing")]
    Missing { name: String },
    #[error("{name} is broken or of another format")]
    Broken { name: String },
    #[error("it was counted with another clock or for fewer days")]
    OtherOptions,
    #[error("it counts {found} partitions where the log has {expected}")]
    OtherPartitions { found: usize, expected: usize },
    #[error(transparent)]
    File(#[from] FileError),
}

/// What is saved, and where it had been read up to.
pub(crate) struct Saved {
    pub(crate) history: History,
    pub(crate) positions: Vec<u64>,
    pub(crate) unreadable: u64,
}

/// One consistent picture of what is to be saved.
pub(crate) struct Picture {
    manifest: Manifest,
    changed: Vec<(i64, SoldMinutes)>,
    kept: HashSet<i64>,
}

impl Picture {
    /// Takes the picture: cheap, for the fold's lock. The changed days count as saved from here on.
    pub(crate) fn take(history: &mut History, positions: &[u64], unreadable: u64) -> Self {
        let facts = history.facts();
        let manifest = Manifest {
            clock: number_of(history.clock()),
            sales_days: history.sales_days(),
            positions: positions.to_vec(),
            newest: facts.newest.map(|at| at.0),
            kept_from: facts.kept_from.0,
            dropped: facts.dropped,
            unreadable,
            next_file: 0,
            days: Vec::new(),
        };
        let changed = history.buckets_mut().take_dirty();
        let kept = history.buckets().days().map(|(day, _)| day).collect();
        Self { manifest, changed, kept }
    }
}

/// Saves pictures into files, and loads the last one.
pub(crate) struct Keeper {
    files: Box<dyn Files>,
    next_file: u64,
    days: BTreeMap<i64, NamedDay>,
}

impl Keeper {
    /// Nothing is loaded yet.
    pub(crate) fn new(files: Box<dyn Files>) -> Self {
        Self { files, next_file: 0, days: BTreeMap::new() }
    }

    /// The last saved state; `None` where there is none yet. After an error the keeper starts from
    /// nothing.
    ///
    /// # Errors
    /// [`Unusable`]
    pub(crate) fn load(
        &mut self,
        clock: Clock,
        sales_days: u32,
        partitions: usize,
    ) -> Result<Option<Saved>, Unusable> {
        let Some(bytes) = self.files.read(MANIFEST)? else { return Ok(None) };
        let manifest: Manifest = unframe("manifest", &bytes)?;
        // File numbers go on, whatever becomes of the rest: a name is never used twice.
        self.next_file = manifest.next_file;
        if manifest.clock != number_of(clock) || manifest.sales_days < sales_days {
            return Err(Unusable::OtherOptions);
        }
        let found = manifest.positions.len();
        if found != partitions {
            return Err(Unusable::OtherPartitions { found, expected: partitions });
        }
        let mut buckets = Buckets::default();
        for named in &manifest.days {
            buckets.restore(named.day, self.load_day(*named)?);
        }
        let facts = Facts {
            newest: manifest.newest.map(Micros),
            kept_from: Minute(manifest.kept_from),
            dropped: manifest.dropped,
        };
        let history = History::restored(clock, sales_days, facts, buckets)
            .map_err(|_| Unusable::Broken { name: "manifest".into() })?;
        self.days = manifest.days.iter().map(|named| (named.day, *named)).collect();
        let (positions, unreadable) = (manifest.positions, manifest.unreadable);
        Ok(Some(Saved { history, positions, unreadable }))
    }

    fn load_day(&self, named: NamedDay) -> Result<Day, Unusable> {
        let name = named.name();
        let Some(bytes) = self.files.read(&name)? else {
            return Err(Unusable::Missing { name });
        };
        let file: DayFile = unframe(&name, &bytes)?;
        if checksum_of(&bytes) != named.crc || file.day != named.day {
            return Err(Unusable::Broken { name });
        }
        day_of(&file).ok_or(Unusable::Broken { name })
    }

    /// Saves a picture. After an error the state on disk is the old or the new one.
    ///
    /// # Errors
    /// [`FileError`]
    pub(crate) fn save(&mut self, picture: Picture) -> Result<(), FileError> {
        let manifest = self.write_days(picture)?;
        self.write_next_manifest(&frame(&manifest))?;
        self.switch_manifest()?;
        self.remove_old()
    }

    /// The first step: what the next manifest names is durable.
    fn write_days(&mut self, picture: Picture) -> Result<Manifest, FileError> {
        let Picture { mut manifest, changed, kept } = picture;
        self.days.retain(|day, _| kept.contains(day));
        for (day, minutes) in changed.into_iter().skip(usize::from(is_planted(Bug::DayUnsaved))) {
            let bytes = frame(&file_of(day, &minutes));
            let named = NamedDay { day, file: self.next_file, crc: checksum_of(&bytes) };
            self.next_file += 1;
            self.files.write(&named.name(), &bytes)?;
            self.days.insert(day, named);
        }
        self.files.sync()?;
        manifest.next_file = self.next_file;
        manifest.days = self.days.values().copied().collect();
        Ok(manifest)
    }

    /// The second step: it lies beside the present one.
    fn write_next_manifest(&self, bytes: &[u8]) -> Result<(), FileError> {
        self.files.write(MANIFEST_NEXT, bytes)
    }

    /// The third step: from here on the next manifest is the one that counts.
    fn switch_manifest(&self) -> Result<(), FileError> {
        self.files.rename(MANIFEST_NEXT, MANIFEST)?;
        self.files.sync()
    }

    /// Starts from nothing: the next save names none of the files that were loaded.
    pub(crate) fn forget(&mut self) {
        self.days.clear();
    }

    /// The last step, and good at any time: what the manifest does not name goes, predecessors and
    /// what a kill left behind.
    pub(crate) fn remove_old(&self) -> Result<(), FileError> {
        let named: HashSet<String> = self.days.values().map(|day| day.name()).collect();
        self.files.remove_others(&|name| name == MANIFEST || named.contains(name))
    }
}

fn number_of(clock: Clock) -> u8 {
    match clock {
        Clock::Wall => 0,
        Clock::Event => 1,
    }
}

fn file_of(day: i64, minutes: &SoldMinutes) -> DayFile {
    let filled = minutes.iter().filter(|(_, bucket)| !bucket.is_empty());
    let minutes = filled
        .map(|(place, bucket)| {
            let products = bucket.in_order().into_iter();
            let row = |(product, sums): (ProductId, Sums)| (product.0, sums.units.0, sums.amount.0);
            (u16::try_from(*place).unwrap_or(u16::MAX), products.map(row).collect())
        })
        .collect();
    DayFile { day, minutes }
}

/// `None` where the file says what no day can hold.
fn day_of(file: &DayFile) -> Option<Day> {
    let mut day = Day::default();
    for (place, products) in &file.minutes {
        if i64::from(*place) >= MINUTES_OF_DAY {
            return None;
        }
        for (product, units, amount) in products {
            let sums = Sums { units: Units(*units), amount: Money(*amount) };
            day.add(usize::from(*place), ProductId(*product), sums);
        }
    }
    Some(day)
}

#[allow(clippy::expect_used, reason = "a body is plain integers and goes into memory")]
fn frame<T: Serialize>(body: &T) -> Vec<u8> {
    let mut bytes = postcard::to_extend(body, vec![FORMAT]).expect("integers can be written");
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// What a frame ends with. (A checksum over all of it, its own included, would be the same for
/// every frame.)
fn checksum_of(framed: &[u8]) -> u32 {
    framed.last_chunk().map_or(0, |crc| u32::from_le_bytes(*crc))
}

fn unframe<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, Unusable> {
    let broken = || Unusable::Broken { name: name.into() };
    let checked = bytes.len().checked_sub(CRC_BYTES).ok_or_else(broken)?;
    let (framed, crc) = bytes.split_at(checked);
    let is_whole = crc32c::crc32c(framed).to_le_bytes() == crc;
    match framed.split_first() {
        Some((&FORMAT, body)) if is_whole => match postcard::take_from_bytes(body) {
            Ok((value, [])) => Ok(value),
            _ => Err(broken()),
        },
        _ => Err(broken()),
    }
}

#[cfg(test)]
mod tests;
