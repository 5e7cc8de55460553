//! Ids that a caller did not bring: 128 bits that nobody outside can foresee, without a system call
//! each.

use jupan_schemas::TraceId;
use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

/// A keyed hash over a counter. The keys come from the operating system, new in every process.
#[derive(Default)]
pub(crate) struct Minted {
    high: RandomState,
    low: RandomState,
    count: AtomicU64,
}

impl Minted {
    /// 16 bytes that were never given out before.
    pub(crate) fn bytes(&self) -> [u8; 16] {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let (high, low) = (self.high.hash_one(count), self.low.hash_one(count));
        ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
    }

    /// A trace id; all zeros would mean "none".
    pub(crate) fn trace_id(&self) -> TraceId {
        let mut bytes = self.bytes();
        bytes[15] |= u8::from(bytes == [0; 16]);
        TraceId(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn minted_ids_differ() {
        let (one, other) = (Minted::default(), Minted::default());
        let ids: HashSet<_> = (0..1000).flat_map(|_| [one.bytes(), other.bytes()]).collect();
        assert_eq!(ids.len(), 2000);
    }
}
