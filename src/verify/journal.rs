//! Invariant 6 without the fold: steps form one dense chain a lane, stamps rise, epochs never fall,
//! positions and message numbers are what the entries say, and the header balances are what the
//! postings give.

use super::{
    accounts::Accounts,
    findings::{Desk, Invariant},
    inputs::Input,
    lanes::PerLane,
};
use jupan_schemas::{
    Account, Change, Entry, Hash, Lane, Micros, Peer, Positions, Role, Source, Stamp, Step, Verdict,
};

const RULE: Invariant = Invariant::Journal;

/// Where one lane's journal stands.
struct Chain {
    number: u64,
    hash: Hash,
    epoch: u64,
    sequence: u64,
    stamp: Stamp,
    positions: Positions,
    peers: Vec<Peer>,
    /// Append time of the step that the present owner began with.
    opened_at: Micros,
}

/// Every lane's journal.
pub(super) struct Journals {
    chains: PerLane<Chain>,
    /// Newest stamp or append time of a step.
    newest: Micros,
    steps: u64,
    entries: u64,
    /// Whether a carrier keeps marks of its own between records: then positions may lie behind them.
    has_marks: bool,
}

impl Journals {
    pub(super) fn new(lanes: u16, has_marks: bool) -> Self {
        let chains = PerLane::new(lanes, |_| Chain {
            number: 0,
            hash: Hash::ZERO,
            epoch: 0,
            sequence: 0,
            stamp: Stamp(0),
            positions: Positions::default(),
            peers: (0..lanes).map(|lane| Peer { lane, sent: 0, received: 0 }).collect(),
            opened_at: Micros(0),
        });
        Self { chains, newest: Micros(0), steps: 0, entries: 0, has_marks }
    }

    /// Takes a step in, before its entries.
    pub(super) fn begin(
        &mut self,
        lane: Lane,
        step: &Step,
        record: &[u8],
        at: Micros,
        desk: &mut Desk<'_>,
    ) {
        self.steps += 1;
        self.newest = self.newest.max(at);
        let Some(chain) = self.chains.get_mut(lane) else { return };
        chain.number = chain.number.saturating_add(1);
        if !desk.same(RULE, "step number", chain.number, step.number) {
            chain.number = step.number;
        }
        desk.same(RULE, "lane of the step", lane, Lane { role: step.role, index: step.lane });
        desk.same(RULE, "hash of the previous step", chain.hash, step.previous);
        chain.hash = Hash::of(record);
        let opens = step.entries.first().is_some_and(|entry| entry.verdict == Verdict::Opened);
        let epoch = chain.epoch.saturating_add(u64::from(opens));
        if opens {
            chain.opened_at = at;
        }
        desk.same(RULE, "owner epoch", epoch, step.epoch);
        chain.epoch = step.epoch;
        desk.rule(RULE, "entries", !step.entries.is_empty(), "at least one", 0);
    }

    /// Takes an entry in, together with its input. Says whether the input is news: a command, or a
    /// message that the lane has not received before.
    pub(super) fn entry(
        &mut self,
        lane: Lane,
        entry: &Entry,
        input: Option<&Input>,
        desk: &mut Desk<'_>,
    ) -> bool {
        self.entries += 1;
        self.newest = self.newest.max(Micros(entry.stamp.0));
        let Some(chain) = self.chains.get_mut(lane) else { return false };
        chain.sequence = chain.sequence.saturating_add(1);
        if !desk.same(RULE, "entry sequence", chain.sequence, entry.sequence) {
            chain.sequence = entry.sequence;
        }
        chain.stamp(entry, input, desk);
        chain.consume(entry, desk);
        chain.opened(entry, desk);
        let is_news = chain.received(entry, input, desk);
        chain.sent(entry, desk);
        is_news
    }

    /// Compares a step's header with what its entries came to.
    pub(super) fn end(
        &mut self,
        lane: Lane,
        step: &Step,
        accounts: &Accounts,
        desk: &mut Desk<'_>,
    ) {
        let Some(chain) = self.chains.get_mut(lane) else { return };
        if self.has_marks {
            let is_behind = step.positions.commands < chain.positions.commands
                || step.positions.inbox < chain.positions.inbox;
            let (least, told) = (format!("{:?}", chain.positions), format!("{:?}", step.positions));
            let least = format!("at least {least}");
            desk.rule(RULE, "positions after the step", !is_behind, &least, told);
            chain.positions = step.positions;
        } else if !desk.same(RULE, "positions after the step", chain.positions, step.positions) {
            chain.positions = step.positions;
        }
        for own in &mut chain.peers {
            let none = Peer { lane: own.lane, sent: 0, received: 0 };
            let told = step.peers.iter().find(|peer| peer.lane == own.lane).unwrap_or(&none);
            let about = "message numbers of a peer after the step";
            if !desk.same(RULE, about, (own.sent, own.received), (told.sent, told.received)) {
                *own = *told;
            }
        }
        if lane.role == Role::Users {
            for account in [Account::Funding, Account::Revenue] {
                let told = step.balances.iter().find(|balance| balance.account == account);
                let told = told.map_or(0, |balance| balance.balance);
                let own = accounts.system(account, lane.index);
                desk.same(RULE, format_args!("{account:?} after the step"), own, told);
            }
        }
    }

    /// A step that cannot be read: the chain goes on behind it.
    pub(super) fn unreadable(&mut self, lane: Lane, record: &[u8]) {
        let Some(chain) = self.chains.get_mut(lane) else { return };
        chain.number = chain.number.saturating_add(1);
        chain.hash = Hash::of(record);
    }

    /// The newest time that the journals know.
    pub(super) fn newest(&self) -> Micros {
        self.newest
    }

    /// Since when a lane has its present owner.
    pub(super) fn opened_at(&self, lane: Lane) -> Micros {
        self.chains.get(lane).map_or(Micros(0), |chain| chain.opened_at)
    }

    /// Steps and entries seen.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.steps, self.entries)
    }
}

impl Chain {
    fn stamp(&mut self, entry: &Entry, input: Option<&Input>, desk: &mut Desk<'_>) {
        let cause = input.and_then(|input| input.body.sender()).map_or(0, |(_, _, stamp)| stamp);
        let at = input.map_or(0, |input| input.at.0);
        let holds = entry.stamp > self.stamp && entry.stamp.0 > cause && entry.stamp.0 >= at;
        if !holds {
            let expected = format!(
                "above {} before it, above {cause} of its cause, at least {at} of its input",
                self.stamp.0
            );
            desk.fault(RULE, "stamp", expected, entry.stamp.0);
        }
        self.stamp = entry.stamp;
    }

    /// What was read before is not read again: marks that a position passed over are no records.
    fn consume(&mut self, entry: &Entry, desk: &mut Desk<'_>) {
        let Some(at) = entry.input else { return };
        let position = match at.source {
            Source::Commands => &mut self.positions.commands,
            Source::Inbox => &mut self.positions.inbox,
        };
        if at.offset < *position {
            let expected = format_args!("one from {position} on");
            desk.fault(RULE, "offset of the input", expected, at.offset);
        }
        *position = at.offset.saturating_add(1);
    }

    /// `Opened` is the first entry of its step, and says the step's epoch.
    fn opened(&self, entry: &Entry, desk: &mut Desk<'_>) {
        let opened = entry.changes.iter().find_map(|change| match change {
            Change::Opened(opened) => Some(opened.epoch),
            _ => None,
        });
        if entry.verdict == Verdict::Opened {
            desk.same(RULE, "epoch of the Opened entry", Some(self.epoch), opened);
            let is_bare = entry.changes.len() == 1
                && entry.postings.is_empty()
                && entry.messages.is_empty()
                && entry.answers.is_empty()
                && entry.input.is_none();
            desk.rule(RULE, "Opened entry", is_bare, "nothing but an epoch", "more");
        } else {
            desk.same(RULE, "epoch in another entry than Opened", None, opened);
        }
    }

    fn received(&mut self, entry: &Entry, input: Option<&Input>, desk: &mut Desk<'_>) -> bool {
        if entry.verdict == Verdict::Dead {
            return false;
        }
        let Some((from, number, _)) = input.and_then(|input| input.body.sender()) else {
            return input.is_some();
        };
        let Some(peer) = self.peers.get_mut(usize::from(from)) else {
            desk.same(RULE, "verdict on a message of no lane", Verdict::Dead, entry.verdict);
            return false;
        };
        let is_news = number == peer.received.saturating_add(1);
        if is_news {
            peer.received = number;
        } else {
            let about = format!("verdict on message {number} behind {}", peer.received);
            desk.same(RULE, about, Verdict::Ignored, entry.verdict);
        }
        is_news
    }

    fn sent(&mut self, entry: &Entry, desk: &mut Desk<'_>) {
        for sent in &entry.messages {
            let Some(peer) = self.peers.get_mut(usize::from(sent.lane)) else {
                desk.fault(RULE, "receiver of a message", "one of the lanes", sent.lane);
                continue;
            };
            peer.sent = peer.sent.saturating_add(1);
            let about = format_args!("number of a message to lane {}", sent.lane);
            if !desk.same(RULE, about, peer.sent, sent.number) {
                peer.sent = sent.number;
            }
        }
    }
}
