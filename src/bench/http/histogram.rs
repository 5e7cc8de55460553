//! Latencies, counted in buckets whose width grows with the value: an error of at most 1/64, whatever the
//! range.

/// Values below this have a bucket each; from here on every doubling has as many.
const FINE: u64 = 64;
const FINE_BITS: u32 = FINE.trailing_zeros();

/// How often which latency was seen, in microseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max_us: u64,
}

/// The bucket of a value: its six bits behind the leading one, and how far these were shifted.
fn bucket(us: u64) -> usize {
    let doublings = us.checked_ilog2().unwrap_or(0).saturating_sub(FINE_BITS);
    let index = u64::from(doublings) * FINE + (us >> doublings);
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The highest value of a bucket.
fn highest(bucket: usize) -> u64 {
    let bucket = u64::try_from(bucket).unwrap_or(u64::MAX);
    let doublings = (bucket / FINE).saturating_sub(1);
    let lowest = (bucket - doublings * FINE) << doublings;
    lowest + (1 << doublings) - 1
}

impl Histogram {
    /// Counts one latency.
    pub(super) fn add(&mut self, us: u64) {
        let bucket = bucket(us);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
        self.max_us = self.max_us.max(us);
    }

    /// Counts all of another histogram, too.
    pub(super) fn merge(&mut self, other: &Self) {
        if other.counts.len() > self.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.max_us = self.max_us.max(other.max_us);
    }

    /// The latency that so many of a thousand do not exceed; 0 if none was seen.
    pub(super) fn permille(&self, permille: u64) -> u64 {
        let rank = (self.total * permille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return highest(bucket).min(self.max_us);
            }
        }
        self.max_us
    }

    /// A thousand and one latencies, rising, spread as all of them are; none if none was seen.
    pub(super) fn spread(&self) -> Vec<u64> {
        let number = if self.total == 0 { 0 } else { 1001 };
        (0..number).map(|permille| self.permille(permille)).collect()
    }

    /// How many latencies were counted.
    #[cfg(test)]
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The longest, 0 if none was seen.
    #[cfg(test)]
    pub(super) fn max_us(&self) -> u64 {
        self.max_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_value_within_a_64th() {
        let values = (0..5000).chain((13..63).map(|bit| (1_u64 << bit) - 1)).chain([1 << 40]);
        let mut last = (0, 0);
        for us in values {
            let (bucket, high) = (bucket(us), highest(bucket(us)));
            assert!(high >= us && high - us <= us / 64, "{us} in {bucket} to {high}");
            if us > last.0 {
                assert!(bucket >= last.1, "{us}");
            }
            last = (us, bucket);
        }
        assert_eq!((bucket(63), bucket(64), bucket(127), bucket(128)), (63, 64, 127, 128));
    }

    #[test]
    fn quantiles_are_of_all_that_was_counted() {
        let mut one = Histogram::default();
        assert_eq!((one.permille(500), one.max_us()), (0, 0));
        (1..=500).for_each(|us| one.add(us));
        let mut two = Histogram::default();
        (501..=1000).for_each(|us| two.add(us));
        one.merge(&two);
        two.merge(&one);
        assert_eq!((one.total(), one.max_us(), two.total()), (1000, 1000, 1500));
        let spread = one.spread();
        assert!(spread.is_sorted() && spread.len() == 1001, "{spread:?}");
        assert_eq!((spread[0], spread[1000], Histogram::default().spread().len()), (1, 1000, 0));
        for (permille, expected) in [(1, 1), (50, 50), (500, 500), (990, 990), (1000, 1000)] {
            let found = one.permille(permille);
            assert!(found >= expected && found - expected <= expected / 64, "{permille}: {found}");
        }
    }
}
