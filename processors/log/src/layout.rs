//! Which partitions there are, numbered densely.

use crate::Header;
use jupan_schemas::{Lane, Role, TopicId};

/// The dense number of a partition of a topic within one log.
pub(crate) type Slot = usize;

/// The partitions of a log with so many lanes of each role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    lanes: u16,
}

impl Layout {
    pub(crate) fn new(lanes: u16) -> Self {
        Self { lanes: lanes.max(1) }
    }

    pub(crate) fn lanes(self) -> u16 {
        self.lanes
    }

    /// How many slots there are; a few of them stay unused, so that the number of a slot is simple.
    pub(crate) fn slots(self) -> usize {
        TopicId::ALL.len() * usize::from(self.lanes)
    }

    /// Outcomes are volatile in the providers of this process: they have no partition in the log.
    fn partitions(self, topic: TopicId) -> u16 {
        match topic {
            TopicId::CommandResults => 0,
            _ if topic.is_single() => 1,
            _ => self.lanes,
        }
    }

    pub(crate) fn slot(self, topic: TopicId, partition: u16) -> Option<Slot> {
        let base = (usize::from(topic as u8) - 1) * usize::from(self.lanes);
        (partition < self.partitions(topic)).then_some(base + usize::from(partition))
    }

    /// The slot of persisted numbers.
    pub(crate) fn slot_of_numbers(self, topic: u8, partition: u16) -> Option<Slot> {
        self.slot(TopicId::from_number(topic)?, partition)
    }

    /// Lanes of both roles in one row: users first.
    pub(crate) fn lane_index(self, lane: Lane) -> Option<usize> {
        let base = match lane.role {
            Role::Users => 0,
            Role::Products => usize::from(self.lanes),
        };
        (lane.index < self.lanes).then_some(base + usize::from(lane.index))
    }

    /// The lane that polls this slot.
    pub(crate) fn reader_of(self, slot: Slot) -> Option<usize> {
        let lanes = usize::from(self.lanes);
        let topic = TopicId::ALL.get(slot / lanes)?;
        let index = slot % lanes;
        match topic {
            TopicId::UserCommands | TopicId::UserInbox => Some(index),
            TopicId::ProductCommands | TopicId::ProductInbox => Some(lanes + index),
            _ => None,
        }
    }

    /// Whether producers may append to it: callers wish, operators mark dead letters.
    pub(crate) fn producer_slot(self, topic: TopicId, partition: u16) -> Option<Slot> {
        let is_for_producers = matches!(
            topic,
            TopicId::UserCommands | TopicId::ProductCommands | TopicId::DeadLetterMarks
        );
        is_for_producers.then(|| self.slot(topic, partition)).flatten()
    }

    /// Whether a lane's commit may write there besides its steps: journals have one writer each.
    pub(crate) fn commit_slot(self, topic: TopicId, partition: u16) -> Option<Slot> {
        let is_journal = matches!(topic, TopicId::UserJournal | TopicId::ProductJournal);
        (!is_journal).then(|| self.slot(topic, partition)).flatten()
    }
}

/// Bytes of a record's headers.
pub(crate) fn header_bytes(headers: &[Header]) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_distinct_and_within_bounds() {
        for lanes in [1, 2, 12] {
            let layout = Layout::new(lanes);
            let mut seen = Vec::new();
            for topic in TopicId::ALL {
                seen.extend((0..=lanes).filter_map(|p| layout.slot(topic, p)));
            }
            let count = seen.len();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), count);
            assert_eq!(count, 8 * usize::from(lanes) + 3);
            assert!(seen.iter().all(|slot| *slot < layout.slots()));
        }
    }

    #[test]
    fn a_lane_polls_its_two_inputs_and_nothing_else() {
        let layout = Layout::new(3);
        for role in [Role::Users, Role::Products] {
            for index in 0..3 {
                let lane = layout.lane_index(Lane { role, index });
                for topic in TopicId::ALL {
                    let Some(slot) = layout.slot(topic, index) else { continue };
                    let is_input =
                        topic == TopicId::commands(role) || topic == TopicId::inbox(role);
                    assert_eq!(layout.reader_of(slot) == lane, is_input, "{topic:?}");
                }
            }
        }
    }
}
