//! What must be true between lanes: acknowledged commands are there, feeds and dead letters say
//! what happened, and at rest nothing is held.

use super::{Evidence, Facts};
use crate::{
    report::{Invariant, Violation},
    world::Acknowledged,
};
use bytes::Bytes;
use jupan_log::LogRecord;
use jupan_schemas::{
    Code, Codec, Lane, OrderEvent, OrderStatus, Role, Sale, Source, TopicId,
    rows::{Key, Row},
};
use std::fmt::Debug;

/// Where an acknowledged command lies there must be that command.
pub(crate) fn check_acknowledged(
    evidence: &Evidence,
    acknowledged: &[Acknowledged],
) -> Result<(), Violation> {
    for Acknowledged { asked, offset } in acknowledged {
        let role = if asked.topic == TopicId::UserCommands { Role::Users } else { Role::Products };
        let lane = Lane { role, index: asked.partition };
        let found = evidence.lanes.iter().find(|evidence| evidence.lane == lane);
        let record = found.and_then(|lane| lane.commands.get(usize::try_from(*offset).ok()?));
        let is_it = |record: &&LogRecord| record.value == asked.value && record.key == asked.key;
        if record.filter(is_it).is_none() {
            let what = format!("{:?} was acknowledged at {offset}, and is not there", asked.topic);
            return Err(Violation::new(Invariant::Acknowledged, what).of(lane));
        }
    }
    Ok(())
}

/// A dead letter: headers and bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DeadLetter {
    partition: String,
    topic: String,
    offset: String,
    code: String,
    value: Bytes,
}

/// The dead letter that a record must have become.
pub(crate) fn dead_letter(
    lane: Lane,
    source: Source,
    record: &LogRecord,
    code: Code,
) -> DeadLetter {
    let topic = match source {
        Source::Commands => TopicId::commands(lane.role),
        Source::Inbox => TopicId::inbox(lane.role),
    };
    DeadLetter {
        partition: lane.index.to_string(),
        topic: topic.name().to_owned(),
        offset: record.offset.to_string(),
        code: code.as_str().to_owned(),
        value: record.value.clone(),
    }
}

pub(crate) fn check_dead_letters(
    evidence: &Evidence,
    dead: &[DeadLetter],
) -> Result<(), Violation> {
    let header = |record: &LogRecord, wanted: &str| {
        let found = record.headers.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    };
    let letters = evidence.dead_letters.iter().map(|record| DeadLetter {
        partition: header(record, "partition"),
        topic: header(record, "topic"),
        offset: header(record, "offset"),
        code: header(record, "code"),
        value: record.value.clone(),
    });
    let mut found: Vec<DeadLetter> = letters.collect();
    let mut due = dead.to_vec();
    found.sort();
    due.sort();
    if found == due {
        return Ok(());
    }
    let what = format!("{} dead letters where {} are due", found.len(), due.len());
    Err(Violation::new(Invariant::Acknowledged, what))
}

/// A record of a feed: order events, sales.
pub(crate) trait FeedRecord: Debug + PartialEq + Sized {
    fn read(codec: &Codec, bytes: &[u8]) -> Option<Self>;
}

impl FeedRecord for OrderEvent {
    fn read(codec: &Codec, bytes: &[u8]) -> Option<Self> {
        codec.decode(bytes).ok()
    }
}

impl FeedRecord for Sale {
    fn read(codec: &Codec, bytes: &[u8]) -> Option<Self> {
        codec.decode(bytes).ok()
    }
}

pub(crate) fn check_feed<T: FeedRecord>(
    codec: &Codec,
    due: &[T],
    feed: &[LogRecord],
) -> Result<(), Violation> {
    let feed_is = |what: String| Err(Violation::new(Invariant::Feeds, what));
    for (due, record) in due.iter().zip(feed) {
        let found = T::read(codec, &record.value);
        if found.as_ref() != Some(due) {
            return feed_is(format!("{found:?} at {} where {due:?} was due", record.offset));
        }
    }
    if due.len() == feed.len() {
        return Ok(());
    }
    feed_is(format!("{} records where {} are due", feed.len(), due.len()))
}

/// No order is pending, and nothing is held.
pub(crate) fn check_holds(facts: &Facts) -> Result<(), Violation> {
    for (key, (lane, row)) in &facts.rows {
        let what = match row {
            Some(Row::Order(order)) if order.status == OrderStatus::Pending => "still pending",
            Some(Row::Hold(_)) => "held for an order that has ended",
            Some(Row::Product(product)) if product.reserved.0 != 0 => "units held for nobody",
            _ => continue,
        };
        let what = format!("{key:?}: {what}");
        return Err(Violation::new(Invariant::Holds, what).of(*lane));
    }
    check_sold(facts)
}

/// Units sold are those of orders that succeeded, without what was given back.
fn check_sold(facts: &Facts) -> Result<(), Violation> {
    let mut sold = std::collections::BTreeMap::new();
    for (_, row) in facts.rows.values() {
        let Some(Row::Order(order)) = row else { continue };
        let is_paid = matches!(order.status, OrderStatus::Success | OrderStatus::Refunded);
        for line in order.lines.iter().filter(|_| is_paid) {
            *sold.entry(line.product_id).or_insert(0) += line.quantity.0 - line.refunded.0;
        }
    }
    for (key, (lane, row)) in &facts.rows {
        let (Key::Product(id), Some(Row::Product(product))) = (key, row) else { continue };
        let due = sold.get(id).copied().unwrap_or(0);
        if product.sold.0 != due {
            let what = format!("product {id} sold {}, its orders bought {due}", product.sold);
            return Err(Violation::new(Invariant::Holds, what).of(*lane));
        }
    }
    Ok(())
}
