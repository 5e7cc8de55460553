//! Money, units and times: integers in newtypes, with checked arithmetic only.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Highest price of one unit, and highest stock of one product.
pub const PRICE_AND_STOCK_MAX: i64 = 1_000_000_000_000;
/// Highest balance of one wallet, in minor units.
pub const BALANCE_MAX: i64 = 1_000_000_000_000_000;

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);

            /// The sum, or `None` on overflow.
            pub fn checked_add(self, other: Self) -> Option<Self> {
                self.0.checked_add(other.0).map(Self)
            }

            /// The difference, or `None` on overflow.
            pub fn checked_sub(self, other: Self) -> Option<Self> {
                self.0.checked_sub(other.0).map(Self)
            }

            /// The opposite, or `None` on overflow.
            pub fn checked_neg(self) -> Option<Self> {
                self.0.checked_neg().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

quantity! {
    /// Money in minor units (won has none, so won).
    Money
}
quantity! {
    /// Units of one product.
    Units
}

impl Money {
    /// This price for so many units, or `None` on overflow.
    pub fn checked_times(self, units: Units) -> Option<Self> {
        self.0.checked_mul(units.0).map(Self)
    }
}

/// A point in time: microseconds since 1970 in UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// Microseconds of one second.
    pub const SECOND: i64 = 1_000_000;
    /// Microseconds of one minute.
    pub const MINUTE: i64 = 60 * Self::SECOND;
    /// Microseconds of one day.
    pub const DAY: i64 = 24 * 60 * Self::MINUTE;

    /// So much later; stays at the end of time rather than wrap.
    pub fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to this time; negative if `earlier` is later.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The logical time of an entry in microseconds: strictly rising within a lane, and above the stamp
/// of the message that caused it, so that every cut `stamp <= T` over all lanes is causally closed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Stamp(pub i64);
