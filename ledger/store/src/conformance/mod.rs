//! The port's rules as tests, one function a rule, for every provider. A function panics where the
//! rule is broken.

mod bounds;
#[cfg(test)]
mod faulty;
mod lists;
mod newest;
pub mod samples;
mod survival;
mod view;

use crate::{LaneStore, ReadStore};
pub use bounds::bounds;
pub use lists::lists;
pub use newest::{newest_wins, one_lane, only_what_is_given, read_your_writes};
use std::sync::Arc;
pub use survival::{ended_holds, pending_orders, rebuild, watermark_last};
pub use view::View;

/// How the suite makes, crashes and fills stores of a provider. It uses one store at a time.
pub trait Fixture {
    /// The provider's store.
    type Store: LaneStore + ReadStore + 'static;

    /// A new, empty store.
    fn create(&self) -> Arc<Self::Store>;

    /// Makes everything durable that is applied by now.
    fn persist(&self, store: &Self::Store);

    /// Kills the process and opens the store again.
    fn crash(&self, store: Arc<Self::Store>) -> Arc<Self::Store>;

    /// Loses the store; an empty one takes its place.
    fn wipe(&self, store: Arc<Self::Store>) -> Arc<Self::Store>;

    /// A new store, and how many rows it may keep that are not durable; `None` where a row is
    /// durable at once.
    fn bounded(&self) -> Option<(Arc<Self::Store>, usize)>;

    /// Calls `run` while nothing becomes durable.
    fn while_stalled(&self, store: &Self::Store, run: &mut dyn FnMut());
}

/// Every rule.
pub fn run_all(fixture: &impl Fixture) {
    newest_wins(fixture);
    one_lane(fixture);
    watermark_last(fixture);
    read_your_writes(fixture);
    rebuild(fixture);
    only_what_is_given(fixture);
    ended_holds(fixture);
    pending_orders(fixture);
    bounds(fixture);
    lists(fixture);
}
