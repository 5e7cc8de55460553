//! Rot in the store's files: flipped bits, cuts, zeros and whole files that are missing. A store is
//! as it was, or as it was a little earlier, or wiped when it is opened, or a read is refused and
//! the next opening wipes it. A row is never wrong, none that the watermark covers is missing, and
//! what the lanes then apply again ends where it had to.
//!
//! `JUPAN_ROT=<how many>` tries more random flips; `JUPAN_ROT_SEED=<seed>` tries one alone.

use super::{
    EmbeddedStore,
    layout::Table,
    open::{Unusable, usable},
    tests::NEVER,
};
use crate::{
    LaneStore, StoreError,
    conformance::samples::{self, PRODUCTS, USERS},
};
use jupan_schemas::{
    HoldEnd, Lane, OrderStatus, UserId,
    rows::{Key, OrderRow, Row},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

const LAST: u64 = 120;
const USERS_MAX: u64 = 9;
/// Random flips, besides what is done to every file.
const FLIPS: u64 = 200;
const THREADS: usize = 2;
/// Left behind the end of a journal.
const ZEROS: usize = 4096;

/// A small generator (SplitMix64), so that a seed says everything.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit.max(1) as u64).expect("small")
    }
}

/// The rows that a lane applies at a sequence.
fn rows_at(lane: Lane, sequence: u64) -> Vec<Row> {
    let user = 1 + sequence % USERS_MAX;
    // Each order is pending for a while, and one in five for ever.
    let (number, is_placed) = (sequence.div_ceil(2), !sequence.is_multiple_of(2));
    let owner = 1 + number % USERS_MAX;
    let placed = 2 * number - 1;
    let is_open = is_placed || number.is_multiple_of(5);
    if lane == PRODUCTS {
        let end = (!is_open).then_some(HoldEnd::Settled);
        let hold = samples::hold(owner, number, sequence, end);
        return vec![Row::from(samples::product(user, sequence)), Row::from(hold)];
    }
    let status = if is_open { OrderStatus::Pending } else { OrderStatus::Success };
    vec![
        Row::from(samples::user(user, sequence)),
        Row::from(samples::order(owner, number, placed, sequence, status)),
        Row::from(samples::outcome(user, sequence, sequence)),
        Row::from(samples::statement(user, sequence)),
    ]
}

/// Every version of every row of a lane, by the sequence of its entry.
type Versions = BTreeMap<Key, BTreeMap<u64, Row>>;

fn versions(lane: Lane) -> Versions {
    let mut all = Versions::new();
    for sequence in 1..=LAST {
        for row in rows_at(lane, sequence) {
            let Some(key) = row.key() else { continue };
            all.entry(key).or_default().insert(sequence, row);
        }
    }
    all
}

fn open(dir: &Path) -> Arc<EmbeddedStore> {
    EmbeddedStore::open(dir, NEVER).expect("a damaged store is opened or wiped")
}

/// As a lane does that goes on where the store is.
fn apply(store: &EmbeddedStore, lane: Lane, sequence: u64) {
    store.apply(lane, rows_at(lane, sequence)).expect("rows");
    store.set_watermark(lane, samples::watermark(sequence, sequence)).expect("a watermark");
}

fn sort_into_file(store: &EmbeddedStore, table: Table) {
    store.rows.disk.table(table).rotate_memtable_and_wait().expect("a file");
}

/// A store with rows of every kind: in sorted files of two levels, and in several journals, since
/// most tables are not sorted into files at the end.
fn fill(dir: &Path) {
    let store = open(dir);
    for sequence in 1..=LAST {
        [USERS, PRODUCTS].into_iter().for_each(|lane| apply(&store, lane, sequence));
        if sequence.is_multiple_of(3) {
            store.flush().expect("a flush");
        }
        if sequence.is_multiple_of(LAST / 4) && sequence < LAST {
            Table::ALL.into_iter().for_each(|table| sort_into_file(&store, table));
        }
        if sequence == LAST / 2 {
            for table in Table::ALL {
                store.rows.disk.table(table).major_compact().expect("merged files");
            }
        }
        if sequence == LAST - 12 {
            sort_into_file(&store, Table::Orders);
        }
    }
    store.close().expect("a close");
    drop(store);
    split_journal(&dir.join("tables"));
}

/// Makes two journals of one, as the library does when one is long, behind what most tables have
/// sorted into files: so that rows are gone with either. Of the zeros that the library keeps behind
/// a journal's end some are enough.
fn split_journal(tables: &Path) {
    const BATCH_END_AND_BEGIN: &[u8] = b"FJL\x03\x01";
    let bytes = fs::read(tables.join("0.jnl")).expect("a journal");
    let used = used(&bytes);
    let late = used / 8 * 7;
    let end = bytes[late..used].windows(5).position(|bytes| bytes == BATCH_END_AND_BEGIN);
    let split = late + end.expect("a batch's end") + 4;
    write(&tables.join("0.jnl"), &bytes[..split]);
    write(&tables.join("1.jnl"), &bytes[split..used + ZEROS]);
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            let bytes = fs::read(entry.path()).expect("a file");
            write(&target, &bytes);
        }
    }
}

/// Writes a file, whose zeros at the end become a hole.
fn write(path: &Path, bytes: &[u8]) {
    let mut file = File::create(path).expect("a file");
    file.write_all(&bytes[..used(bytes)]).expect("a write");
    file.set_len(bytes.len() as u64).expect("a length");
}

/// The store's files, relative to its directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    fn below(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { below(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    below(dir, &mut found);
    found.sort();
    found.iter().map(|path| path.strip_prefix(dir).expect("below").to_owned()).collect()
}

/// Where the written part of a file ends: the library's journals are longer.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// What happens to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// This bit of this byte.
    Flip(usize, usize),
    /// Only so many bytes are left.
    Cut(usize),
    /// So many bytes from there on are zeros.
    Zeros(usize, usize),
    Missing,
}

fn damage(path: &Path, damage: Damage) {
    let mut file = File::options().read(true).write(true).open(path).expect("a file");
    match damage {
        Damage::Flip(at, bit) => {
            let byte = fs::read(path).expect("a file")[at] ^ (1 << bit);
            file.seek(SeekFrom::Start(at as u64)).expect("a place");
            file.write_all(&[byte]).expect("a write");
        }
        Damage::Cut(left) => file.set_len(left as u64).expect("a length"),
        Damage::Zeros(at, count) => {
            file.seek(SeekFrom::Start(at as u64)).expect("a place");
            file.write_all(&vec![0; count]).expect("a write");
        }
        Damage::Missing => fs::remove_file(path).expect("a file"),
    }
}

/// What is tried: every file is damaged in each way, at its ends and in its middle, and random bits
/// of random files are flipped.
fn cases(dir: &Path, seeds: impl Iterator<Item = u64>) -> Vec<(String, PathBuf, Damage)> {
    let files: Vec<_> = files(dir)
        .into_iter()
        .map(|name| (used(&fs::read(dir.join(&name)).expect("a file")), name))
        .collect();
    let mut cases = Vec::new();
    for (used, name) in &files {
        let mut damages = vec![Damage::Missing];
        if *used > 0 {
            let (middle, last) = (used / 2, used - 1);
            damages.extend([
                Damage::Flip(0, 0),
                Damage::Flip(last, 7),
                Damage::Cut(0),
                Damage::Cut(middle),
                Damage::Cut(last),
                Damage::Zeros(middle, 512.min(used - middle)),
            ]);
        }
        cases.extend(damages.into_iter().map(|damage| (String::new(), name.clone(), damage)));
    }
    let flippable: Vec<_> = files.iter().filter(|(used, _)| *used > 0).collect();
    for seed in seeds {
        let mut random = Random(seed);
        let (used, name) = flippable[random.below(flippable.len())];
        let flip = Damage::Flip(random.below(*used), random.below(8));
        cases.push((format!("JUPAN_ROT_SEED={seed}: "), name.clone(), flip));
    }
    cases
}

/// What became of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// It was as good as new.
    Whole,
    /// It was opened as it was a little earlier: the lanes bring the rest.
    Earlier,
    /// It was wiped when it was opened.
    Rebuilt,
    /// A read was refused; the next opening wiped it.
    Refused,
}

fn covered(store: &EmbeddedStore, lane: Lane) -> u64 {
    store.watermark(lane).expect("a watermark").map_or(0, |watermark| watermark.sequence)
}

/// Reads everything; a refusal is an error, a panic of the library a panic.
fn read(store: &EmbeddedStore) -> Result<(), StoreError> {
    for lane in [USERS, PRODUCTS] {
        let covered = covered(store, lane);
        for (key, versions) in &versions(lane) {
            let found = store.load(&[*key])?.pop().flatten();
            check_row(*key, found, covered, versions);
        }
    }
    check_lists(store)
}

/// The row is one that was written, and no older than what the watermark covers.
fn check_row(key: Key, found: Option<Row>, covered: u64, versions: &BTreeMap<u64, Row>) {
    let is_ended = |row: &Row| matches!(row, Row::Hold(hold) if hold.end.is_some());
    let least = versions.range(..=covered).next_back();
    let Some(found) = found else {
        // What ends behind the watermark may be gone before it is covered.
        let ends_later = versions.range(covered + 1..).any(|(_, row)| is_ended(row));
        let is_due = least.is_some_and(|(_, row)| !is_ended(row));
        assert!(!is_due || ends_later, "{key:?} is gone");
        return;
    };
    let sequence = found.as_of().sequence;
    assert_eq!(Some(&found), versions.get(&sequence), "{key:?} was never so");
    assert!(least.is_none_or(|(least, _)| *least <= sequence), "{key:?} is outdated: {found:?}");
}

/// Orders as they are at a sequence.
fn orders_at(versions: &Versions, sequence: u64) -> impl Iterator<Item = &OrderRow> {
    let newest = versions.values().filter_map(move |rows| rows.range(..=sequence).next_back());
    newest.filter_map(|(_, row)| if let Row::Order(row) = row { Some(&**row) } else { None })
}

fn check_lists(store: &EmbeddedStore) -> Result<(), StoreError> {
    let (covered_users, versions) = (covered(store, USERS), versions(USERS));
    for user in (1..=USERS_MAX).map(UserId) {
        let listed = store.rows.orders(user, None, 1_000)?.items;
        let listed: BTreeSet<_> = listed.iter().map(|row| (row.user_id, row.order_id)).collect();
        for order in orders_at(&versions, covered_users).filter(|order| order.user_id == user) {
            assert!(listed.contains(&(user, order.order_id)), "{} is not listed", order.order_id);
        }
        assert!(listed.iter().all(|(owner, _)| *owner == user), "{listed:?} are {user}'s");
        let statement = store.rows.statement(user, None, 1_000)?.items;
        let sequences: Vec<u64> = statement.iter().map(|row| row.as_of.sequence).collect();
        assert!(sequences.is_sorted_by(|newer, older| newer > older), "{user}: {sequences:?}");
        for row in &statement {
            assert_eq!(row.as_ref(), &samples::statement(user.0, row.as_of.sequence));
        }
        let due = (1..=covered_users).filter(|sequence| UserId(1 + sequence % USERS_MAX) == user);
        assert!(due.into_iter().all(|due| sequences.contains(&due)), "{user}: {sequences:?}");
    }
    let listed = store.rows.products(None, 1_000)?.items;
    let listed: BTreeSet<u64> = listed.iter().map(|row| row.product_id.0).collect();
    let due = (1..=covered(store, PRODUCTS)).map(|sequence| 1 + sequence % USERS_MAX);
    assert!(due.into_iter().all(|due| listed.contains(&due)), "products: {listed:?}");
    check_open_orders(store, &versions, covered_users)
}

fn check_open_orders(
    store: &EmbeddedStore,
    versions: &Versions,
    covered: u64,
) -> Result<(), StoreError> {
    let open: BTreeMap<_, _> = store.open_orders(USERS)?.into_iter().collect();
    let ended: BTreeSet<_> =
        orders_at(versions, LAST).filter(|row| !row.is_pending()).map(|row| row.order_id).collect();
    for order in orders_at(versions, covered) {
        let listed = open.get(&order.order_id);
        // One that ends behind the watermark may be closed before it is covered.
        let may_be_closed = ended.contains(&order.order_id);
        let is_right = match listed {
            Some(deadline) => order.is_pending() && *deadline == order.deadline,
            None => !order.is_pending() || may_be_closed,
        };
        assert!(is_right, "{} is open until {listed:?}", order.order_id);
    }
    for (order, deadline) in &open {
        let rows = versions.get(&Key::Order(*order)).expect("an order that was placed");
        let is_of = |row: &Row| matches!(row, Row::Order(row) if row.deadline == *deadline);
        assert!(rows.values().any(is_of), "{order} is open until {deadline:?}");
    }
    Ok(())
}

/// Opens a damaged store, reads all of it, goes on with it, and reads all of it once more.
fn check(dir: &Path) -> Verdict {
    // As opening does, which then only makes a new one: that is tested elsewhere, and takes its time.
    if matches!(usable(&dir.join("tables"), &dir.join("broken")), Err(Unusable::Wipe(_))) {
        return Verdict::Rebuilt;
    }
    let store = open(dir);
    // So that rows are looked up as they are later on, and what is damaged was met once before.
    store.gatherer.wait();
    let from = [USERS, PRODUCTS].map(|lane| (lane, covered(&store, lane)));
    let is_read = read(&store).is_ok();
    assert_eq!(!is_read, store.failure().is_some(), "a refusal is a failure");
    drop(store);
    let store = open(dir);
    for (lane, covered_before) in from {
        let from = covered(&store, lane);
        assert_eq!(from, if is_read { covered_before } else { 0 }, "{lane} at the next opening");
        (from + 1..=LAST).for_each(|sequence| apply(&store, lane, sequence));
    }
    store.close().expect("a close");
    drop(store);
    let store = open(dir);
    assert_eq!([USERS, PRODUCTS].map(|lane| covered(&store, lane)), [LAST; 2], "at the end");
    read(&store).expect("what was written again can be read");
    match from {
        _ if !is_read => Verdict::Refused,
        [(_, LAST), (_, LAST)] => Verdict::Whole,
        _ => Verdict::Earlier,
    }
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

#[test]
fn a_row_is_never_wrong_whatever_happens_to_the_files() {
    let whole = tempfile::tempdir().expect("a directory");
    fill(whole.path());
    let is_alone = from_environment("JUPAN_ROT_SEED");
    let seeds = match is_alone {
        Some(seed) => seed..seed + 1,
        None => 0..from_environment("JUPAN_ROT").unwrap_or(FLIPS),
    };
    let mut cases = cases(whole.path(), seeds);
    cases.retain(|(seed, ..)| is_alone.is_none() || !seed.is_empty());
    let next = AtomicUsize::new(0);
    let run = || {
        let mut found = Vec::new();
        while let Some((seed, name, kind)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let dir = tempfile::tempdir().expect("a directory");
            copy_dir(whole.path(), dir.path());
            damage(&dir.path().join(name), *kind);
            let verdict = catch_unwind(AssertUnwindSafe(|| check(dir.path())));
            found.push((format!("{seed}{}: {kind:?}", name.display()), verdict.ok()));
        }
        found
    };
    let found: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(run)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread")).collect()
    });
    let mut counts: BTreeMap<Verdict, u64> = BTreeMap::new();
    for (what, verdict) in &found {
        println!("{what}: {verdict:?}");
        verdict.iter().for_each(|verdict| *counts.entry(*verdict).or_default() += 1);
    }
    println!("{counts:?}");
    let failed: Vec<_> = found.iter().filter(|(_, verdict)| verdict.is_none()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    if is_alone.is_none() {
        assert_eq!(counts.len(), 4, "each way out was taken: {counts:?}");
    }
}

#[test]
fn an_undamaged_store_is_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    fill(dir.path());
    let journals =
        files(dir.path()).iter().filter(|name| name.to_string_lossy().ends_with("jnl")).count();
    assert!(journals >= 2, "{journals} journals: nothing can be missing between two");
    assert_eq!(check(dir.path()), Verdict::Whole);
}
