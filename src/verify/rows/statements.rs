//! What the journal makes of every wallet's statement: one line for each change, that no later
//! entry touches. Only a digest of each is kept.

use super::super::lanes::PerLane;
use jupan_schemas::{
    Account, Change, Entry, Hash, Lane, Money, Role, UserId,
    rows::{AsOf, Row, StatementKind, StatementRow},
};

/// The change of a wallet that an entry makes, worked out from its postings.
pub(super) fn line(lane: Lane, entry: &Entry) -> Option<StatementRow> {
    let posting = entry.postings.iter().find(|posting| posting.account == Account::Wallet)?;
    let is_of_users = lane.role == Role::Users;
    let at = entry.input.filter(|_| is_of_users)?.at;
    let order_id = entry.changes.iter().find_map(|change| match change {
        Change::OrderEnded(ended) => Some(ended.order_id),
        Change::LinesRefunded(refunded) => Some(refunded.order_id),
        _ => None,
    });
    let kind = match order_id {
        None => StatementKind::Charge,
        Some(_) if posting.delta < 0 => StatementKind::Payment,
        Some(_) => StatementKind::Refund,
    };
    Some(StatementRow {
        user_id: UserId(posting.owner),
        lane: lane.index,
        as_of: AsOf { sequence: entry.sequence, stamp: entry.stamp },
        kind,
        delta: Money(posting.delta),
        balance: Money(posting.balance),
        order_id,
        at,
    })
}

/// Bytes of a digest: together with its mark they fill a word.
const DIGEST_BYTES: usize = 7;

/// One change of a wallet, small.
struct Line {
    sequence: u64,
    stamp: i64,
    user: UserId,
    digest: [u8; DIGEST_BYTES],
    is_seen: bool,
}

/// How a stored change compares with the journal's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    Same,
    Other,
    Unknown,
}

/// Every lane's changes of wallets, by rising sequence.
pub(super) struct Statements(PerLane<Vec<Line>>);

impl Statements {
    pub(super) fn new(lanes: u16) -> Self {
        Self(PerLane::new(lanes, |_| Vec::new()))
    }

    /// Takes a change in.
    pub(super) fn add(&mut self, lane: Lane, row: StatementRow) {
        let sequence = row.as_of.sequence;
        if let Some(lines) = self.0.get_mut(lane)
            && lines.last().is_none_or(|last| last.sequence < sequence)
        {
            let (stamp, user) = (row.as_of.stamp.0, row.user_id);
            lines.push(Line { sequence, stamp, user, digest: digest(row), is_seen: false });
        }
    }

    /// Compares a stored change, and notes that it was seen.
    pub(super) fn compare(&mut self, lane: Lane, row: &StatementRow) -> Compared {
        let lines = self.0.get_mut(lane).map(Vec::as_mut_slice).unwrap_or_default();
        let place = lines.binary_search_by_key(&row.as_of.sequence, |line| line.sequence);
        let Some(line) = place.ok().and_then(|place| lines.get_mut(place)) else {
            return Compared::Unknown;
        };
        if line.digest != digest(row.clone()) {
            return Compared::Other;
        }
        line.is_seen = true;
        Compared::Same
    }

    /// Says that a stored change was seen, whatever it says.
    pub(super) fn see(&mut self, lane: Lane, sequence: u64) {
        let lines = self.0.get_mut(lane).map(Vec::as_mut_slice).unwrap_or_default();
        if let Ok(place) = lines.binary_search_by_key(&sequence, |line| line.sequence) {
            lines[place].is_seen = true;
        }
    }

    /// Sequence, stamp and user of the changes of a lane that were not seen.
    pub(super) fn unseen(&self, lane: Lane) -> impl Iterator<Item = (u64, i64, UserId)> {
        let lines = self.0.get(lane).map(Vec::as_slice).unwrap_or_default();
        let unseen = lines.iter().filter(|line| !line.is_seen);
        unseen.map(|line| (line.sequence, line.stamp, line.user))
    }
}

fn digest(row: StatementRow) -> [u8; DIGEST_BYTES] {
    let whole = Hash::of(&super::super::shelf::pack(&Row::from(row))).0;
    let mut digest = [0; DIGEST_BYTES];
    digest.copy_from_slice(&whole[..DIGEST_BYTES]);
    digest
}
