//! Damaged files: a store is opened as it was, as it was a little earlier, or empty. It never tells
//! a wrong row, and its watermark never covers one that is gone.

use super::{EmbeddedStore, Options, layout::Table, tests::NEVER};
use crate::{
    LaneStore,
    conformance::samples::{self, USERS},
};
use jupan_schemas::{
    OrderStatus, UserId,
    rows::{Key, Row},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

const LAST: u64 = 40;

fn open(dir: &Path) -> std::sync::Arc<EmbeddedStore> {
    let options = Options { ..NEVER };
    EmbeddedStore::open(dir, options).expect("a damaged store is opened or wiped")
}

/// Batches of one user and one order each; half of them sorted into files, half in the library's
/// journal.
fn fill(dir: &Path) {
    let store = open(dir);
    for sequence in 1..=LAST {
        let order = samples::order(1, sequence, sequence, sequence, OrderStatus::Success);
        let rows = vec![Row::from(samples::user(sequence, sequence)), Row::from(order)];
        store.apply(USERS, rows).expect("rows");
        store.set_watermark(USERS, samples::watermark(sequence, sequence)).expect("a watermark");
        store.flush().expect("a flush");
        if sequence == LAST / 2 {
            for table in Table::ALL {
                store.rows.disk.table(table).rotate_memtable_and_wait().expect("a file");
            }
        }
    }
}

/// Opens a store and holds it against what was written; says how far it is.
fn check(dir: &Path, what: &str) -> u64 {
    let store = open(dir);
    let watermark = store.watermark(USERS).expect("a watermark");
    let covered = watermark.map_or(0, |watermark| watermark.sequence);
    for sequence in 1..=LAST {
        let user = Row::from(samples::user(sequence, sequence));
        let order = samples::order(1, sequence, sequence, sequence, OrderStatus::Success);
        let keys = [Key::User(UserId(sequence)), Key::Order(order.order_id)];
        for (key, row) in keys.into_iter().zip([user, Row::from(order)]) {
            match store.load(&[key]) {
                Ok(rows) if rows == [Some(row)] => {}
                Ok(rows) if rows == [None] => {
                    assert!(sequence > covered, "{what}: {key:?} is gone");
                }
                Ok(rows) => panic!("{what}: {key:?} is {rows:?}"),
                Err(_) => assert!(store.failure().is_some(), "{what}: an error, and no failure"),
            }
        }
    }
    let failed = store.failure().is_some();
    drop(store);
    if failed {
        let store = open(dir);
        assert_eq!(store.watermark(USERS).expect("a watermark"), None, "{what}: rebuilt next time");
    }
    covered
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Where the written part of a file ends: the library's journals are longer.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip(usize),
    Cut(usize),
    Delete,
}

fn damage(path: &Path, damage: Damage) {
    let mut bytes = fs::read(path).expect("a file");
    let used = used(&bytes);
    match damage {
        Damage::Delete => return fs::remove_file(path).expect("a file"),
        Damage::Flip(percent) => {
            if let Some(byte) = bytes.get_mut(used * percent / 100) {
                *byte ^= 0x10;
            }
        }
        Damage::Cut(percent) => bytes.truncate(used * percent / 100),
    }
    fs::write(path, bytes).expect("a file");
}

#[test]
fn damage_is_noticed_or_healed() {
    let whole = tempfile::tempdir().expect("a directory");
    fill(whole.path());
    assert_eq!(check(whole.path(), "undamaged"), LAST);
    let every = std::env::var("JUPAN_DAMAGE").is_ok_and(|mode| mode == "every");
    let mut covered = Vec::new();
    let names = files(whole.path());
    let damages =
        [Damage::Flip(50), Damage::Cut(70), Damage::Delete, Damage::Flip(2), Damage::Flip(97)];
    for (n, name) in names.iter().enumerate() {
        let size = fs::metadata(name).expect("a file").len();
        for (m, kind) in damages.into_iter().enumerate() {
            // Every other file and one kind each keep the test short; `JUPAN_DAMAGE=every` takes
            // all.
            if size == 0 || !(every || n % 2 == 0 && m == n / 2 % damages.len()) {
                continue;
            }
            let dir = tempfile::tempdir().expect("a directory");
            copy(whole.path(), dir.path()).expect("a copy");
            let name = name.strip_prefix(whole.path()).expect("a file of the store");
            damage(&dir.path().join(name), kind);
            covered.push((
                name,
                kind,
                check(dir.path(), &format!("{kind:?} of {}", name.display())),
            ));
        }
    }
    assert!(covered.iter().any(|(_, _, covered)| *covered < LAST), "nothing was noticed");
}
