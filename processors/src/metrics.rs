//! Every metric of the lanes, by name. Counters count what is durable.

use crate::projection::Projected;
use jupan_schemas::{Code, Lane, Micros};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use std::collections::BTreeMap;

/// Commits that became durable, by lane.
pub const COMMITS: &str = "jupan_lane_commits_total";
/// How long a commit took, by lane.
pub const COMMIT_SECONDS: &str = "jupan_lane_commit_seconds";
/// How long it took from a commit until its entries could be read, by lane; of several commits that
/// went to the store together, the oldest.
pub const PROJECTION_SECONDS: &str = "jupan_lane_projection_seconds";
/// Entries projected, by lane.
pub const PROJECTED: &str = "jupan_lane_projected_entries_total";
/// Entries committed and not yet projected, by lane.
pub const UNPROJECTED: &str = "jupan_lane_unprojected_entries";
/// Records that went to the dead letters, by lane.
pub const DEAD_LETTERS: &str = "jupan_lane_dead_letters_total";
/// Orders that ended, by lane and code: `OK` is SUCCESS, any other is why it is FAILED.
pub const ORDERS: &str = "jupan_lane_orders_total";
/// Cells looked up in the store, by lane.
pub const LOADED: &str = "jupan_lane_loaded_cells_total";
/// Cells in memory, by lane.
pub const CELLS: &str = "jupan_lane_cells";
/// Pending orders, by lane.
pub const PENDING_ORDERS: &str = "jupan_lane_pending_orders";

/// One lane's metrics, looked up once.
pub(crate) struct LaneMetrics {
    commits: Counter,
    commit_seconds: Histogram,
    projection_seconds: Histogram,
    projected: Counter,
    unprojected: Gauge,
    dead_letters: Counter,
    lane: String,
    /// By code, each from its first order on.
    orders: BTreeMap<Code, Counter>,
    loaded: Counter,
    cells: Gauge,
    pending_orders: Gauge,
}

#[allow(clippy::cast_precision_loss, reason = "gauges are for people; 2^53 is enough")]
impl LaneMetrics {
    pub(crate) fn new(lane: Lane) -> Self {
        let lane = lane.to_string();
        Self {
            commits: counter!(COMMITS, "lane" => lane.clone()),
            commit_seconds: histogram!(COMMIT_SECONDS, "lane" => lane.clone()),
            projection_seconds: histogram!(PROJECTION_SECONDS, "lane" => lane.clone()),
            projected: counter!(PROJECTED, "lane" => lane.clone()),
            unprojected: gauge!(UNPROJECTED, "lane" => lane.clone()),
            dead_letters: counter!(DEAD_LETTERS, "lane" => lane.clone()),
            orders: BTreeMap::new(),
            loaded: counter!(LOADED, "lane" => lane.clone()),
            cells: gauge!(CELLS, "lane" => lane.clone()),
            pending_orders: gauge!(PENDING_ORDERS, "lane" => lane.clone()),
            lane,
        }
    }

    pub(crate) fn batch(&self, cells: usize, pending_orders: usize) {
        self.cells.set(cells as f64);
        self.pending_orders.set(pending_orders as f64);
    }

    pub(crate) fn committed(&self, began: Micros, ended: Micros) {
        self.commit_seconds.record(seconds(began, ended));
    }

    /// Counts what became durable: a metric is an acknowledgement, too.
    pub(crate) fn projected(&mut self, projected: Projected, unprojected: usize, now: Micros) {
        if let Some(oldest) = projected.oldest {
            self.projection_seconds.record(seconds(oldest, now));
        }
        self.commits.increment(projected.commits as u64);
        self.projected.increment(projected.entries as u64);
        self.dead_letters.increment(projected.dead_letters as u64);
        for code in projected.ended {
            let lane = &self.lane;
            let register = || counter!(ORDERS, "lane" => lane.clone(), "code" => code.as_str());
            self.orders.entry(code).or_insert_with(register).increment(1);
        }
        self.unprojected(unprojected);
    }

    /// Shows what waits for log or store, which may be away for long.
    pub(crate) fn unprojected(&self, entries: usize) {
        self.unprojected.set(entries as f64);
    }

    pub(crate) fn loaded(&self, cells: usize) {
        self.loaded.increment(cells as u64);
    }
}

/// A clock that was set back shows as no time.
#[allow(clippy::cast_precision_loss, reason = "micros between two moments are few")]
fn seconds(from: Micros, until: Micros) -> f64 {
    until.0.saturating_sub(from.0).max(0) as f64 / 1e6
}
