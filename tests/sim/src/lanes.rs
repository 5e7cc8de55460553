//! The real lanes, without their threads: each is turned when chance says so.

use jupan_ledger::{Core, products::Products, users::Users};
use jupan_processors::{Parts, Stop, Turn, Worker};
use jupan_schemas::{
    Lane, Role,
    rows::{Key, Row},
};
use std::time::Duration;

/// An owner of a lane of either role.
pub(crate) enum Owner {
    Users(Box<Worker<Users>>),
    Products(Box<Worker<Products>>),
}

impl Owner {
    pub(crate) fn open(parts: &Parts, lane: Lane) -> Result<Self, Stop> {
        Ok(match lane.role {
            Role::Users => Self::Users(Box::new(Worker::open(parts, lane)?)),
            Role::Products => Self::Products(Box::new(Worker::open(parts, lane)?)),
        })
    }

    pub(crate) fn turn(&mut self) -> Result<Turn, Stop> {
        match self {
            Self::Users(worker) => worker.turn(Duration::ZERO),
            Self::Products(worker) => worker.turn(Duration::ZERO),
        }
    }

    /// The row of a cell that is in memory.
    pub(crate) fn row(&self, key: Key) -> Option<Row> {
        match self {
            Self::Users(worker) => worker.core().row(key),
            Self::Products(worker) => worker.core().row(key),
        }
    }
}

/// Former owners of one lane that are still around.
const STALE_MAX: usize = 2;

/// A lane with its owner, and with earlier owners that do not know yet that they are.
pub(crate) struct Place {
    pub(crate) lane: Lane,
    /// `None` while nobody runs it.
    pub(crate) owner: Option<Owner>,
    pub(crate) stale: Vec<Owner>,
}

impl Place {
    /// The present owner becomes a former one, which goes on when chance says so.
    pub(crate) fn retire(&mut self) {
        self.stale.extend(self.owner.take());
        let count = self.stale.len();
        self.stale.drain(..count.saturating_sub(STALE_MAX));
    }
}

/// All lanes of a shop, users and products in turn.
pub(crate) fn places(lanes: u16) -> Vec<Place> {
    let both = |index| [Role::Users, Role::Products].map(|role| Lane { role, index });
    let empty = |lane| Place { lane, owner: None, stale: Vec::new() };
    (0..lanes).flat_map(both).map(empty).collect()
}
