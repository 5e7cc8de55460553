//! Every bound of the core that is the same in every shop; what a shop chooses is in
//! [`crate::Rules`].

use jupan_schemas::Micros;

/// A command that was made longer ago is refused. Shorter than [`jupan_schemas::OUTCOME_KEPT_US`], so that no
/// retry arrives after its first outcome is forgotten.
pub const COMMAND_AGE_MAX_US: i64 = 14 * Micros::DAY;

/// A command that claims to be made later than this after its own arrival is refused.
pub const COMMAND_AHEAD_MAX_US: i64 = 5 * Micros::MINUTE;

/// Most lines of a cart, whatever failed orders put back into it: it is one record, and one row.
/// What may be put in by hand is less, and the shop's to choose.
pub(crate) const CART_LINES_MAX: usize = 4_000;

/// Most partitions of `command-results` that one pending order answers to.
pub(crate) const ORDER_REPLY_TO_MAX: usize = 8;

/// Most askers of one pending order: bounds its row, and the answers of the entry that ends it.
pub(crate) const ORDER_ASKERS_MAX: usize = 128;
