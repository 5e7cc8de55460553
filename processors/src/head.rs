//! Where a lane's journal stands: everything that the next step continues.

use jupan_schemas::{
    Hash, Lane, Message, Micros, Peer, Positions, Sent, Source, Stamp, Step,
    planted::{Bug, is_planted},
    rows::Watermark,
};

/// What the next step continues. The journal's last step alone restores it.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// Number of the last step; 0: none yet.
    pub(crate) step: u64,
    /// Hash of its record.
    pub(crate) hash: Hash,
    /// Its owner's epoch.
    pub(crate) epoch: u64,
    /// Sequence of the last entry.
    pub(crate) sequence: u64,
    /// Stamp of the last entry.
    pub(crate) stamp: Stamp,
    /// Next unread offsets.
    pub(crate) positions: Positions,
    /// By lane of the other role.
    peers: Vec<Peer>,
}

impl Head {
    /// Before the first step.
    pub(crate) fn new(lanes: u16) -> Self {
        let peers = (0..lanes).map(|lane| Peer { lane, sent: 0, received: 0 }).collect();
        Self {
            step: 0,
            hash: Hash::ZERO,
            epoch: 0,
            sequence: 0,
            stamp: Stamp(0),
            positions: Positions::default(),
            peers,
        }
    }

    /// After a step read from the journal.
    pub(crate) fn after(step: &Step, record: &[u8], lanes: u16) -> Self {
        let mut head = Self::new(lanes);
        head.step = step.number;
        head.hash = Hash::of(record);
        head.epoch = step.epoch;
        if let Some(last) = step.entries.last() {
            head.sequence = last.sequence;
            head.stamp = last.stamp;
        }
        head.positions = step.positions;
        for peer in &step.peers {
            if let Some(own) = head.peers.get_mut(usize::from(peer.lane)) {
                *own = *peer;
                own.sent -= u64::from(is_planted(Bug::NumberReused) && own.sent > 0);
            }
        }
        head
    }

    /// Sequence and stamp of the next entry: later than the last one, than what caused it, and than
    /// its input.
    pub(crate) fn advance(&mut self, at: Micros, cause: Option<Stamp>) -> (u64, Stamp) {
        let cause = cause.filter(|_| !is_planted(Bug::StampBeforeCause));
        let after_cause = cause.map_or(0, |stamp| stamp.0.saturating_add(1));
        self.stamp = Stamp(self.stamp.0.saturating_add(1).max(after_cause).max(at.0));
        self.sequence += 1;
        (self.sequence, self.stamp)
    }

    /// The next number of a message to a lane of the other role.
    pub(crate) fn number_to(&mut self, lane: u16) -> Option<u64> {
        let peer = self.peers.get_mut(usize::from(lane))?;
        peer.sent += 1;
        Some(peer.sent)
    }

    /// The number of the last message received from a lane of the other role.
    pub(crate) fn received_from(&self, lane: u16) -> u64 {
        self.peers.get(usize::from(lane)).map_or(0, |peer| peer.received)
    }

    /// Notes a message as received.
    pub(crate) fn receive(&mut self, lane: u16, number: u64) {
        if let Some(peer) = self.peers.get_mut(usize::from(lane)) {
            peer.received = number;
        }
    }

    /// Notes an input as consumed.
    pub(crate) fn consume(&mut self, source: Source, next: u64) {
        match source {
            Source::Commands => self.positions.commands = next,
            Source::Inbox => self.positions.inbox = next,
        }
    }

    /// The message numbers, for a step's header.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        self.peers.clone()
    }

    /// Notes a step as written.
    pub(crate) fn close_step(&mut self, record: &[u8]) {
        self.step += 1;
        self.hash = Hash::of(record);
    }

    /// How far the lane is, once the journal is projected up to this offset.
    pub(crate) fn watermark(&self, journal: u64) -> Watermark {
        let Self { step, sequence, stamp, positions, .. } = *self;
        Watermark { step, journal, sequence, stamp, positions }
    }

    /// Whether a step read from the journal continues this head; the message says how it does not.
    pub(crate) fn continues(&self, lane: Lane, step: &Step) -> Result<(), &'static str> {
        let first = step.entries.first();
        match () {
            () if step.role != lane.role || step.lane != lane.index => Err("it is another lane's"),
            () if step.number != self.step + 1 => Err("its number is not the next one"),
            () if step.previous != self.hash => Err("it does not name the step before it"),
            () if step.epoch < self.epoch => Err("its epoch is lower than the one before"),
            () if first.is_none_or(|entry| entry.sequence != self.sequence + 1) => {
                Err("its entries do not go on with the next sequence")
            }
            () => Ok(()),
        }
    }
}

/// Messages with their numbers, in the order they were decided.
pub(crate) fn numbered(head: &mut Head, messages: Vec<(u16, Message)>) -> Option<Vec<Sent>> {
    let mut sent = Vec::with_capacity(messages.len());
    for (lane, payload) in messages {
        sent.push(Sent { lane, number: head.number_to(lane)?, payload });
    }
    Some(sent)
}
