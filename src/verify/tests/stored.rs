//! The store that the small shop's journals make, as a lane would project them: rows of a step, then
//! its watermark.

use super::{forge::steps, shop::Shop, writer};
use jupan_ledger::{Core, products::Products, users::Users};
use jupan_schemas::{
    Lane, Role, Step,
    rows::{Row, Watermark},
};
use jupan_store::{
    LaneStore,
    embedded::{EmbeddedStore, Options},
};
use std::{collections::BTreeSet, path::Path, sync::Arc};
use tempfile::TempDir;

/// What happens around a step that is projected; whether the projection goes on.
pub(crate) enum Moment {
    /// Its rows are applied, its watermark is not raised.
    Applied,
    /// Its watermark is raised.
    Raised,
}

/// Saves a shop's log and the store that belongs to it, drained.
pub(crate) fn save(shop: &Shop) -> TempDir {
    save_by(shop, &mut |_, _| true)
}

/// The same, with flushes and an end where `at` wants them: it may flush the store, and says
/// whether its lane goes on. What is not flushed is lost as by a kill, unless all went on.
pub(crate) fn save_by(shop: &Shop, at: &mut dyn FnMut(&EmbeddedStore, Moment) -> bool) -> TempDir {
    let dir = TempDir::new().expect("a temporary directory");
    writer::save(dir.path(), shop.lanes, &shop.log, 4096);
    let store = open(dir.path());
    let mut is_drained = true;
    for index in 0..shop.lanes {
        let users = Lane { role: Role::Users, index };
        is_drained &= project::<Users>(shop, users, &store, at);
        let products = Lane { role: Role::Products, index };
        is_drained &= project::<Products>(shop, products, &store, at);
    }
    if is_drained {
        store.close().expect("a disk");
    } else {
        store.kill();
    }
    assert_eq!(Arc::strong_count(&store), 1);
    drop(store);
    dir
}

/// Opens the store of a data directory; it flushes only when it is told to.
pub(crate) fn open(dir: &Path) -> Arc<EmbeddedStore> {
    let options = Options { flush_interval_ms: 3_600_000, ..Options::default() };
    EmbeddedStore::open(dir.join("store"), options).expect("a store")
}

/// Projects one lane's journal; says whether to its end.
fn project<C: Core>(
    shop: &Shop,
    lane: Lane,
    store: &EmbeddedStore,
    at: &mut dyn FnMut(&EmbeddedStore, Moment) -> bool,
) -> bool {
    let mut core = C::new(lane.index);
    for (_, step) in steps(shop, lane) {
        store.apply(lane, rows(&mut core, &step)).expect("a store");
        if !at(store, Moment::Applied) {
            return false;
        }
        store.set_watermark(lane, watermark(&step)).expect("a store");
        if !at(store, Moment::Raised) {
            return false;
        }
    }
    true
}

fn rows<C: Core>(core: &mut C, step: &Step) -> Vec<Row> {
    let (mut touched, mut rows) = (BTreeSet::new(), Vec::new());
    for entry in &step.entries {
        let mut keys = Vec::new();
        core.entry_footprint(entry, &mut keys);
        touched.extend(keys.iter().copied());
        loop {
            core.retain_missing(&mut keys);
            if keys.is_empty() {
                break;
            }
            for key in std::mem::take(&mut keys) {
                core.load(key, None).expect("absent");
            }
            core.entry_footprint(entry, &mut keys);
        }
        core.evolve(entry).expect("the shop is sound");
        core.statement(entry, &mut rows);
    }
    rows.extend(touched.into_iter().filter_map(|key| core.row(key)));
    rows
}

fn watermark(step: &Step) -> Watermark {
    let last = step.entries.last().expect("no step is empty");
    Watermark {
        step: step.number,
        journal: step.number,
        sequence: last.sequence,
        stamp: last.stamp,
        positions: step.positions,
    }
}
