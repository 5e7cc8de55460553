//! The auditor: reads the inputs and the journals, and knows from the rules alone what each input
//! had to lead to. It shares no code with the core, the lanes or the providers: only the contract.

mod books;
mod expected;
mod journal;
mod keys;
mod orders;
mod placing;
mod products;
mod reading;
mod refunds;
mod rest;
mod rows;
mod sellers;
mod users;

pub(crate) use rest::check_acknowledged;
pub(crate) use rows::check_rows;
pub(crate) use sellers::check_sellers;

use crate::{
    report::{Invariant, Violation},
    told::Who,
};
use jupan_log::{Log, LogRecord, ReadLimit, memory::MemoryLog};
use jupan_schemas::{
    Code, Codec, CommandId, Lane, Message, Micros, Outcome, Role, Sale, Stamp, Step, TopicId,
    UserId,
    rows::{AsOf, Key, Row, StatementRow, Watermark},
};
use std::collections::BTreeMap;

/// What the shop allows, as far as the auditor needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    pub(crate) lanes: u16,
    pub(crate) charge_min: i64,
    pub(crate) charge_max: i64,
    pub(crate) order_lines_max: usize,
    pub(crate) line_units_max: i64,
    pub(crate) order_deadline_us: i64,
}

/// When an entry happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) as_of: AsOf,
    pub(crate) at: Micros,
}

/// What one lane read and wrote.
pub(crate) struct LaneEvidence {
    pub(crate) lane: Lane,
    pub(crate) commands: Vec<LogRecord>,
    pub(crate) inbox: Vec<LogRecord>,
    pub(crate) steps: Vec<(Step, LogRecord)>,
    /// Order events of a user lane, sales of a product lane.
    pub(crate) feed: Vec<LogRecord>,
}

/// All that a run left behind.
pub(crate) struct Evidence {
    pub(crate) shop: Shop,
    pub(crate) lanes: Vec<LaneEvidence>,
    pub(crate) dead_letters: Vec<LogRecord>,
    /// Lists of the best sellers.
    pub(crate) published: Vec<LogRecord>,
}

/// A message as its sender's journal has it.
pub(crate) struct Posted {
    pub(crate) payload: Message,
    pub(crate) stamp: Stamp,
    pub(crate) command_id: Option<CommandId>,
    pub(crate) actor: String,
}

/// Messages by sender and receiver; the first has number 1.
pub(crate) type Mail = BTreeMap<(Lane, Lane), Vec<Posted>>;

/// What the auditor worked out.
#[derive(Default)]
pub(crate) struct Facts {
    /// Every row that there must be; `None` where a hold has ended.
    pub(crate) rows: BTreeMap<Key, (Lane, Option<Row>)>,
    pub(crate) statements: BTreeMap<UserId, Vec<StatementRow>>,
    /// Every answer of the journals.
    pub(crate) told: BTreeMap<Who, Vec<Outcome>>,
    /// Every product lane's sales, in the order of the feed.
    pub(crate) sales: BTreeMap<u16, Vec<Sale>>,
    /// The last message number that a lane received, by receiver and sender.
    received: BTreeMap<(Lane, u16), u64>,
    /// How far each lane must be readable at rest.
    pub(crate) watermarks: Vec<(Lane, Watermark)>,
    pub(crate) entries: u64,
    /// How often each code was decided.
    pub(crate) codes: BTreeMap<Code, u64>,
}

impl Facts {
    /// The number of the last message that a lane has from a lane of the other role.
    pub(crate) fn received(&self, receiver: Lane, sender: u16) -> u64 {
        self.received.get(&(receiver, sender)).copied().unwrap_or(0)
    }
}

impl Evidence {
    /// Reads everything that is durable.
    pub(crate) fn read(log: &MemoryLog, shop: Shop) -> Result<Self, Violation> {
        let codec = Codec::embedded();
        let mut lanes = Vec::new();
        for role in [Role::Users, Role::Products] {
            for index in 0..shop.lanes {
                let lane = Lane { role, index };
                let feed = if role == Role::Users { TopicId::OrderEvents } else { TopicId::Sales };
                let steps =
                    records(log, TopicId::journal(role), index)?.into_iter().map(|record| {
                        let unreadable = |error| {
                            let what = format!("journal record {}: {error}", record.offset);
                            Violation::new(Invariant::Journal, what).of(lane)
                        };
                        Ok((codec.decode(&record.value).map_err(unreadable)?, record))
                    });
                lanes.push(LaneEvidence {
                    lane,
                    commands: records(log, TopicId::commands(role), index)?,
                    inbox: records(log, TopicId::inbox(role), index)?,
                    steps: steps.collect::<Result<_, Violation>>()?,
                    feed: records(log, feed, index)?,
                });
            }
        }
        let dead_letters = records(log, TopicId::DeadLetters, 0)?;
        let published = records(log, TopicId::TopProducts, 0)?;
        Ok(Self { shop, lanes, dead_letters, published })
    }

    /// One hash of all of it.
    pub(crate) fn hash(&self, hasher: &mut blake3::Hasher) {
        let mut add = |records: &mut dyn Iterator<Item = &LogRecord>| {
            for record in records {
                hasher.update(&record.offset.to_le_bytes()).update(&record.at.0.to_le_bytes());
                hasher.update(&record.key).update(&[0]).update(&record.value);
            }
        };
        for lane in &self.lanes {
            add(&mut lane.commands.iter());
            add(&mut lane.inbox.iter());
            add(&mut lane.steps.iter().map(|(_, record)| record));
            add(&mut lane.feed.iter());
        }
        add(&mut self.dead_letters.iter());
        add(&mut self.published.iter());
    }
}

fn records(log: &MemoryLog, topic: TopicId, partition: u16) -> Result<Vec<LogRecord>, Violation> {
    let limit = ReadLimit { records_max: usize::MAX, bytes_max: usize::MAX };
    let unreadable = |error| Violation::new(Invariant::Journal, format!("{error}"));
    Ok(log.read(topic, partition, 0, limit).map_err(unreadable)?.records)
}

/// Audits every lane, then what is between them.
pub(crate) fn audit(evidence: &Evidence, is_at_rest: bool) -> Result<Facts, Violation> {
    let mail = journal::mail(evidence)?;
    let mut facts = Facts::default();
    let mut dead = Vec::new();
    for lane in &evidence.lanes {
        let mut audit = journal::LaneAudit::new(&evidence.shop, lane, &mail);
        audit.run().map_err(|found| found.of(lane.lane))?;
        if is_at_rest {
            audit.check_rest().map_err(|found| found.of(lane.lane))?;
        }
        audit.report(&mut facts, &mut dead);
    }
    rest::check_dead_letters(evidence, &dead)?;
    if is_at_rest {
        rest::check_holds(&facts)?;
    }
    Ok(facts)
}
