//! How far each lane is: what readers may be promised, and what a restore starts from.

use super::layout::LaneRow;
use crate::LaneProgress;
use hashbrown::HashMap;
use jupan_schemas::{Lane, rows::Watermark};
use parking_lot::Mutex;

#[derive(Clone, Copy, Default)]
struct Progress {
    /// Every row up to here is applied.
    visible: Option<Watermark>,
    /// Every row up to here is on disk.
    persisted: Option<Watermark>,
    /// The highest sequence ever applied.
    applied: u64,
    /// What the disk was last told.
    saved: Option<LaneRow>,
}

/// What `apply` needs to know before it takes rows of a lane.
pub(super) struct Known {
    /// Rows up to this sequence are all applied already.
    pub(super) covered: Option<u64>,
    /// Rows up to this sequence may be applied already.
    pub(super) applied: u64,
}

/// All lanes that ever wrote here: at most two roles of 65,536.
pub(super) struct Lanes(Mutex<HashMap<Lane, Progress>>);

impl Lanes {
    /// As the disk has them.
    pub(super) fn restored(rows: Vec<(Lane, LaneRow)>) -> Self {
        let progress = |row: LaneRow| Progress {
            visible: row.watermark,
            persisted: row.watermark,
            applied: row.applied,
            saved: Some(row),
        };
        Self(Mutex::new(rows.into_iter().map(|(lane, row)| (lane, progress(row))).collect()))
    }

    /// Notes that rows up to `highest` are about to be applied. Comes before they are visible: what
    /// the disk is told covers every row it gets.
    pub(super) fn advance(&self, lane: Lane, highest: u64) -> Known {
        let mut lanes = self.0.lock();
        let progress = lanes.entry(lane).or_default();
        let known = Known {
            covered: progress.visible.map(|watermark| watermark.sequence),
            applied: progress.applied,
        };
        progress.applied = progress.applied.max(highest);
        known
    }

    /// Raises the visible watermark; one that is behind it changes nothing.
    pub(super) fn raise(&self, lane: Lane, watermark: Watermark) {
        let mut lanes = self.0.lock();
        let progress = lanes.entry(lane).or_default();
        if progress.visible.is_none_or(|present| present.step <= watermark.step) {
            progress.visible = Some(watermark);
        }
    }

    pub(super) fn visible(&self, lane: Lane) -> Option<Watermark> {
        self.0.lock().get(&lane).and_then(|progress| progress.visible)
    }

    pub(super) fn persisted(&self, lane: Lane) -> Option<Watermark> {
        self.0.lock().get(&lane).and_then(|progress| progress.persisted)
    }

    /// How far every lane is.
    pub(super) fn progress(&self) -> Vec<LaneProgress> {
        let lanes = self.0.lock();
        lanes
            .iter()
            .map(|(lane, progress)| LaneProgress {
                lane: *lane,
                visible: progress.visible,
                persisted: progress.persisted,
                applied: progress.applied,
            })
            .collect()
    }

    /// The visible watermarks: rows that are taken from now on cover them.
    pub(super) fn watermarks(&self) -> HashMap<Lane, Watermark> {
        let lanes = self.0.lock();
        lanes.iter().filter_map(|(lane, progress)| Some((*lane, progress.visible?))).collect()
    }

    /// What the disk is to be told, where it was told something else last: these watermarks, and
    /// how far rows are applied by now.
    pub(super) fn unsaved(&self, watermarks: &HashMap<Lane, Watermark>) -> Vec<(Lane, LaneRow)> {
        let lanes = self.0.lock();
        lanes
            .iter()
            .map(|(lane, progress)| {
                let watermark = watermarks.get(lane).copied();
                (*lane, LaneRow { watermark, applied: progress.applied }, progress.saved)
            })
            .filter(|(_, row, saved)| *saved != Some(*row))
            .map(|(lane, row, _)| (lane, row))
            .collect()
    }

    /// The disk has these now.
    pub(super) fn saved(&self, rows: &[(Lane, LaneRow)]) {
        let mut lanes = self.0.lock();
        for (lane, row) in rows {
            let progress = lanes.entry(*lane).or_default();
            progress.persisted = row.watermark;
            progress.saved = Some(*row);
        }
    }
}
