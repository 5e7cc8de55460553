//! One partition of `command-results`, read from its end. Outcomes are in no transaction, so they
//! are read without waiting for those of others.

use super::client::{Clients, Isolation};
use super::limits::READ;
use super::record;
use super::traces::Quiet;
use crate::limits::RESULTS_MAX;
use crate::{ReadError, Results};
use bytes::Bytes;
use jupan_schemas::TopicId;
use parking_lot::Mutex;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which partitions subscribers of this process read.
#[derive(Default)]
pub(super) struct Seats(Mutex<BTreeSet<u16>>);

impl Seats {
    /// Any partition, so that processes spread over them; a free one while there are some. Two
    /// that share one get each other's outcomes, too, and pass over them.
    fn take(&self, partitions: u16) -> u16 {
        let partitions = partitions.max(1);
        let chance = RandomState::new().hash_one("a partition") % u64::from(partitions);
        let first = u16::try_from(chance).unwrap_or(0);
        let mut taken = self.0.lock();
        let mut all = (0..partitions).map(|step| (first + step) % partitions);
        let seat = all.find(|seat| !taken.contains(seat)).unwrap_or(first);
        taken.insert(seat);
        seat
    }

    fn give_back(&self, seat: u16) {
        self.0.lock().remove(&seat);
    }
}

/// See the module.
pub(super) struct Subscription {
    partition: u16,
    consumer: BaseConsumer<Quiet>,
    seats: Arc<Seats>,
}

impl Subscription {
    pub(super) fn new(
        clients: &Clients,
        name: &str,
        partitions: u16,
        seats: &Arc<Seats>,
    ) -> Result<Self, ReadError> {
        let partition = seats.take(partitions);
        let config = clients.reader("results", Isolation::Uncommitted);
        let consumer = BaseConsumer::from_config_and_context(&config, Quiet);
        let consumer = consumer.map_err(|error| read_error(partition, &error))?;
        let subscription = Self { partition, consumer, seats: seats.clone() };
        subscription.begin(name).map_err(|error| read_error(partition, &error))?;
        Ok(subscription)
    }

    /// The end is asked for now: an outcome that comes while reading begins is not missed.
    fn begin(&self, name: &str) -> Result<(), KafkaError> {
        let partition = i32::from(self.partition);
        let (_, end) = self.consumer.fetch_watermarks(name, partition, READ)?;
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(name, partition, Offset::Offset(end))?;
        self.consumer.assign(&list)
    }
}

fn read_error(partition: u16, error: &KafkaError) -> ReadError {
    let (topic, cause) = (TopicId::CommandResults, error.to_string());
    ReadError::Unavailable { topic, partition, cause }
}

impl Results for Subscription {
    fn partition(&self) -> u32 {
        u32::from(self.partition)
    }

    fn receive(&mut self, wait: Duration) -> Result<Vec<Bytes>, ReadError> {
        let deadline = Instant::now() + wait;
        let mut results = Vec::new();
        while results.len() < RESULTS_MAX {
            let is_first = results.is_empty();
            let left = deadline.saturating_duration_since(Instant::now());
            match self.consumer.poll(if is_first { left } else { Duration::ZERO }) {
                Some(Ok(message)) => results.push(record::read(&message).value),
                // It passes, or the outcomes are in the store: nothing to stop for.
                Some(Err(error)) => tracing::debug!(target: "kafka", %error, "reading outcomes"),
                None if !is_first || Instant::now() >= deadline => break,
                None => {}
            }
        }
        Ok(results)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.seats.give_back(self.partition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subscriber_has_its_own_partition_while_there_are_some() {
        let seats = Seats::default();
        let taken: BTreeSet<u16> = (0..5).map(|_| seats.take(5)).collect();
        assert_eq!(taken.len(), 5);
        assert!(seats.take(5) < 5, "one more shares");
        seats.give_back(3);
        assert_eq!(seats.take(5), 3);
    }
}
