//! The thread that reads all keys of a store that is opened with content, so that
//! [`KnownKeys`](super::known_keys::KnownKeys) can tell what is not on disk. Nobody waits for it.
//!
//! It reads in short turns with pauses between them. A turn begins behind the last key of the one
//! before and sees all that is committed by then; keys are never removed, and those that are
//! committed meanwhile are added by whoever writes them. So in the end every key was added.

use super::{
    Rows,
    disk::{Disk, DiskError},
    known_keys::TABLES,
    layout::{SEAL_KEY, Table},
};
use crate::limits::{KNOWN_KEYS_PAUSE_MAX, KNOWN_KEYS_TURN};
use parking_lot::{Condvar, Mutex};
use std::{
    io,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How fast keys are read.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// As long as a turn takes, give or take a key.
    pub(super) turn: Duration,
    /// A pause is as long as the turn before it, within these bounds.
    pub(super) pause_min: Duration,
    pub(super) pause_max: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let pause_min = Duration::ZERO;
        Self { turn: KNOWN_KEYS_TURN, pause_min, pause_max: KNOWN_KEYS_PAUSE_MAX }
    }
}

/// Starts and ends the thread.
pub(super) struct Gatherer {
    ending: Arc<Ending>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Ending {
    is_asked_for: Mutex<bool>,
    asked: Condvar,
}

impl Ending {
    /// Whether the thread is to end, now or before the pause is over.
    fn comes_within(&self, pause: Duration) -> bool {
        let mut is_asked_for = self.is_asked_for.lock();
        if !*is_asked_for && !pause.is_zero() {
            self.asked.wait_for(&mut is_asked_for, pause);
        }
        *is_asked_for
    }
}

impl Gatherer {
    /// Starts the thread, unless there is nothing to read.
    pub(super) fn start(rows: Arc<Rows>, pace: Pace) -> io::Result<Self> {
        let ending = Arc::new(Ending::default());
        // What cannot be read is the thread's to tell.
        let is_vacant = || TABLES.iter().all(|table| rows.disk.is_vacant(*table).unwrap_or(false));
        if catch_unwind(AssertUnwindSafe(is_vacant)).unwrap_or(false) {
            rows.disk.known_keys.complete();
            return Ok(Self { ending, thread: Mutex::default() });
        }
        let thread = thread::Builder::new().name("jupan-keys".into()).spawn({
            let ending = Arc::clone(&ending);
            move || run(&rows, pace, &ending)
        })?;
        Ok(Self { ending, thread: Mutex::new(Some(thread)) })
    }

    /// Ends the thread, wherever it is.
    pub(super) fn end(&self) {
        *self.ending.is_asked_for.lock() = true;
        self.ending.asked.notify_one();
        self.join();
    }

    /// Waits until the thread is through.
    fn join(&self) {
        // The lock is held while joining, so that nobody else returns before it is over.
        if let Some(thread) = self.thread.lock().take() {
            thread.join().ok();
        }
    }

    /// Waits until the thread has come to its own end.
    #[cfg(test)]
    pub(super) fn wait(&self) {
        self.join();
    }
}

impl Drop for Gatherer {
    fn drop(&mut self) {
        self.end();
    }
}

/// The thread.
fn run(rows: &Rows, pace: Pace, ending: &Ending) {
    let start = Instant::now();
    // The library asserts on some broken files; it has nothing of ours locked when it does.
    let cause = match catch_unwind(AssertUnwindSafe(|| gather(&rows.disk, pace, ending))) {
        Ok(Ok(false)) => return,
        Ok(Ok(true)) => {
            rows.disk.known_keys.complete();
            let took_ms = start.elapsed().as_millis();
            return tracing::debug!(took_ms, "the store knows the keys of its rows");
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => "its files made the library panic".to_owned(),
    };
    tracing::warn!(cause, "the store's keys cannot be read: every look-up of a row asks the disk");
}

/// Adds every key, and says whether it came to the end.
fn gather(disk: &Disk, pace: Pace, ending: &Ending) -> Result<bool, DiskError> {
    for table in TABLES {
        let mut next = Some(SEAL_KEY.to_vec());
        while let Some(after) = next {
            let start = Instant::now();
            next = disk.gather(table, after, start + pace.turn)?;
            let pause = start.elapsed().min(pace.pause_max).max(pace.pause_min);
            if ending.comes_within(pause) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

impl Disk {
    /// Whether a table has nothing but its seal.
    fn is_vacant(&self, table: Table) -> Result<bool, DiskError> {
        let mut rows =
            self.table(table).range((Bound::Excluded(SEAL_KEY.to_vec()), Bound::Unbounded));
        Ok(rows.next().map(fjall::Guard::key).transpose()?.is_none())
    }

    /// Adds a table's keys behind `after`, at least one if there are any, until `end`; returns the
    /// last one if there may be more.
    fn gather(
        &self,
        table: Table,
        after: Vec<u8>,
        end: Instant,
    ) -> Result<Option<Vec<u8>>, DiskError> {
        for entry in self.table(table).range((Bound::Excluded(after), Bound::Unbounded)) {
            let key = entry.key()?;
            self.known_keys.add([(table, &*key)]);
            if Instant::now() >= end {
                return Ok(Some(key.to_vec()));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        LaneStore,
        conformance::samples::{self, USERS},
        embedded::{EmbeddedStore, tests::NEVER},
    };
    use jupan_schemas::{
        OrderStatus,
        rows::{Key, Row},
    };
    use std::path::Path;
    use tempfile::TempDir;

    /// A key a turn.
    const SLOW: Pace =
        Pace { turn: Duration::ZERO, pause_min: Duration::ZERO, pause_max: Duration::ZERO };
    const HOUR: Duration = Duration::from_secs(3_600);
    /// Never comes to its second key.
    const STUCK: Pace = Pace { turn: Duration::ZERO, pause_min: HOUR, pause_max: HOUR };

    fn open(dir: &Path, pace: Pace) -> Arc<EmbeddedStore> {
        EmbeddedStore::open_at_pace(dir, NEVER, pace).expect("a store")
    }

    /// An order and an outcome, of users whose keys lie between each other.
    fn rows(number: u64) -> [Row; 2] {
        let user = 1 + number * 7 % 100;
        let order = samples::order(user, number, number, number, OrderStatus::Success);
        [Row::from(order), Row::from(samples::outcome(user, number, number))]
    }

    fn add(store: &EmbeddedStore, numbers: std::ops::Range<u64>) {
        for number in numbers {
            store.apply(USERS, rows(number).into()).expect("rows");
            if number.is_multiple_of(50) {
                store.flush().expect("a flush");
            }
        }
        store.flush().expect("a flush");
    }

    fn filled() -> TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        add(&open(dir.path(), Pace::default()), 0..300);
        dir
    }

    fn strange_keys() -> impl Iterator<Item = Key> {
        let keys = |number| {
            let (order, command) = (samples::order_id(1, number), samples::command_id(1, number));
            [Key::Order(order), Key::Outcome(command)]
        };
        (1_000_000..1_000_500).flat_map(keys)
    }

    fn denied(store: &EmbeddedStore) -> usize {
        strange_keys().filter(|key| store.rows.disk.lacks(*key)).count()
    }

    #[track_caller]
    fn check(store: &EmbeddedStore, numbers: std::ops::Range<u64>) {
        for row in numbers.flat_map(rows) {
            let key = row.key().expect("a row with a key");
            let found = store.rows.disk.row(key).expect("readable tables");
            assert_eq!(found, Some(row), "{key:?}");
        }
        for key in strange_keys() {
            assert_eq!(store.rows.disk.row(key).expect("readable tables"), None, "{key:?}");
        }
    }

    #[test]
    fn a_new_store_knows_its_keys_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path(), STUCK);
        assert_eq!(denied(&store), 1_000, "nothing is on disk");
        add(&store, 0..300);
        check(&store, 0..300);
        assert!(denied(&store) > 900, "{} of 1,000 are denied", denied(&store));
    }

    #[test]
    fn an_opened_store_denies_nothing_until_it_has_read_its_keys() {
        let dir = filled();
        for ends in [EmbeddedStore::kill, |store: &EmbeddedStore| store.close().expect("a close")] {
            let store = open(dir.path(), STUCK);
            assert_eq!(denied(&store), 0);
            check(&store, 0..300);
            // In the hour's pause.
            ends(&store);
            assert_eq!(denied(&store), 0);
        }
        drop(open(dir.path(), STUCK));
        let store = open(dir.path(), Pace::default());
        store.gatherer.wait();
        check(&store, 0..300);
        assert!(denied(&store) > 900, "{} of 1,000 are denied", denied(&store));
    }

    #[test]
    fn keys_may_be_written_while_others_are_read() {
        let dir = filled();
        let store = open(dir.path(), SLOW);
        add(&store, 300..1_000);
        store.gatherer.wait();
        assert!(store.rows.disk.known_keys.is_complete());
        add(&store, 1_000..1_100);
        check(&store, 0..1_100);
        assert!(denied(&store) > 900, "{} of 1,000 are denied", denied(&store));
    }

    #[test]
    fn keys_that_cannot_be_read_leave_it_to_the_disk() {
        for table in TABLES {
            let dir = filled();
            let store = open(dir.path(), Pace::default());
            let keyspace = store.rows.disk.table(table);
            keyspace.rotate_memtable_and_wait().expect("a file");
            let files = keyspace.path().join("tables");
            drop(store);
            for file in std::fs::read_dir(files).expect("files") {
                let path = file.expect("a file").path();
                let mut bytes = std::fs::read(&path).expect("a file");
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(&path, bytes).expect("a file");
            }
            let store = open(dir.path(), Pace::default());
            store.gatherer.wait();
            assert_eq!(denied(&store), 0, "{}", table.name());
            assert_eq!(store.failure(), None, "nobody was refused anything");
            let reads = (0..300).flat_map(rows).filter_map(|row| row.key());
            let is_refused = reads.into_iter().any(|key| store.load(&[key]).is_err());
            assert!(is_refused, "a row of {} was damaged", table.name());
        }
    }
}
