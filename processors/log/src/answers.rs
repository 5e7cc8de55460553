//! Outcomes on their way to who waits: volatile, bounded, one ring a subscriber. The outcome that
//! counts is in the store, so nothing here is ever written to a disk.

use crate::limits::SUBSCRIBERS_MAX;
use crate::{ReadError, Results};
use bytes::Bytes;
use jupan_schemas::TopicId;
use parking_lot::{Condvar, Mutex, RwLock};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// All subscribers of one log.
pub(crate) struct Answers {
    rings: RwLock<Vec<Option<Arc<Ring>>>>,
    results_max: usize,
    dropped: AtomicU64,
    never_wait: bool,
}

#[derive(Default)]
struct Ring {
    waiting: Mutex<VecDeque<Bytes>>,
    arrived: Condvar,
}

impl Answers {
    pub(crate) fn new(results_max: usize, never_wait: bool) -> Arc<Self> {
        Arc::new(Self {
            rings: RwLock::default(),
            results_max: results_max.max(1),
            dropped: AtomicU64::new(0),
            never_wait,
        })
    }

    /// Outcomes that were dropped because their subscriber was too slow.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Delivers an outcome; one for a partition that nobody reads is gone.
    pub(crate) fn send(&self, partition: u32, result: Bytes) {
        let rings = self.rings.read();
        let ring = usize::try_from(partition).ok().and_then(|index| rings.get(index)?.as_ref());
        let Some(ring) = ring else { return };
        let mut waiting = ring.waiting.lock();
        if waiting.len() >= self.results_max {
            waiting.pop_front();
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        waiting.push_back(result);
        drop(waiting);
        ring.arrived.notify_one();
    }

    /// A subscriber with the lowest free partition.
    pub(crate) fn subscribe(self: &Arc<Self>) -> Result<Box<dyn Results>, ReadError> {
        let mut rings = self.rings.write();
        let free = rings.iter().position(Option::is_none).unwrap_or(rings.len());
        let partition = u32::try_from(free).unwrap_or(u32::MAX);
        if free >= SUBSCRIBERS_MAX {
            let topic = TopicId::CommandResults;
            let cause = format!("more than {SUBSCRIBERS_MAX} subscribers");
            return Err(ReadError::Broken { topic, partition: u16::MAX, cause });
        }
        let ring = Arc::new(Ring::default());
        if free == rings.len() {
            rings.push(Some(ring.clone()));
        } else {
            rings[free] = Some(ring.clone());
        }
        drop(rings);
        Ok(Box::new(Subscription { partition, ring, answers: self.clone() }))
    }
}

struct Subscription {
    partition: u32,
    ring: Arc<Ring>,
    answers: Arc<Answers>,
}

impl Results for Subscription {
    fn partition(&self) -> u32 {
        self.partition
    }

    fn receive(&mut self, wait: Duration) -> Result<Vec<Bytes>, ReadError> {
        let mut waiting = self.ring.waiting.lock();
        if waiting.is_empty() && !self.answers.never_wait {
            self.ring.arrived.wait_while_for(&mut waiting, |waiting| waiting.is_empty(), wait);
        }
        Ok(waiting.drain(..).collect())
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut rings = self.answers.rings.write();
        if let Some(place) = usize::try_from(self.partition).ok().and_then(|i| rings.get_mut(i)) {
            *place = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(results: &mut Box<dyn Results>) -> Vec<Bytes> {
        results.receive(Duration::ZERO).expect("receive")
    }

    #[test]
    fn partitions_are_dense_and_used_again() {
        let answers = Answers::new(8, false);
        let first = answers.subscribe().expect("first");
        let second = answers.subscribe().expect("second");
        assert_eq!((first.partition(), second.partition()), (0, 1));
        drop(first);
        assert_eq!(answers.subscribe().expect("again").partition(), 0);
    }

    #[test]
    fn a_slow_subscriber_loses_the_oldest_and_nobody_else_anything() {
        let answers = Answers::new(3, false);
        let mut slow = answers.subscribe().expect("slow");
        let mut other = answers.subscribe().expect("other");
        answers.send(1, Bytes::from_static(b"x"));
        answers.send(7, Bytes::from_static(b"nobody"));
        for n in 0..5u8 {
            answers.send(0, Bytes::copy_from_slice(&[n]));
        }
        assert_eq!(receive(&mut slow), [&[2u8][..], &[3], &[4]]);
        assert_eq!(answers.dropped(), 2);
        assert_eq!(receive(&mut other), [&b"x"[..]]);
        assert!(receive(&mut other).is_empty());
    }
}
