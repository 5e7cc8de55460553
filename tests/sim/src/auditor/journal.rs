//! One lane's journal against its inputs: dense, chained, and each input decided once and as it had
//! to be.

use super::{
    Facts, LaneEvidence, Mail, Now, Posted, Shop,
    books::Books,
    products::Products,
    rest::{self, DeadLetter},
    users::Users,
};
use crate::{
    auditor::Evidence,
    report::{Invariant, Violation},
};
use jupan_log::LogRecord;
use jupan_schemas::{
    Account, Answer, Change, Code, Codec, Entry, Hash, InputRef, Lane, Positions, Role, Source,
    Stamp, Step, Verdict,
    rows::{AsOf, Watermark},
};
use std::collections::BTreeMap;

/// Everything that lanes sent each other, in the order of its numbers.
pub(crate) fn mail(evidence: &Evidence) -> Result<Mail, Violation> {
    let mut mail = Mail::new();
    for LaneEvidence { lane, steps, .. } in &evidence.lanes {
        for entry in steps.iter().flat_map(|(step, _)| &step.entries) {
            for sent in &entry.messages {
                let receiver = Lane { role: lane.role.peer(), index: sent.lane };
                let box_ = mail.entry((*lane, receiver)).or_default();
                box_.push(Posted {
                    payload: sent.payload.clone(),
                    stamp: entry.stamp,
                    command_id: entry.command_id,
                    actor: entry.actor.clone(),
                });
                if sent.number != box_.len() as u64 {
                    let what = format!("message {} is number {}", sent.number, box_.len());
                    return Err(Violation::new(Invariant::Journal, what)
                        .of(*lane)
                        .at(entry.sequence));
                }
            }
        }
    }
    Ok(mail)
}

/// The state machine of either role, as the auditor knows it.
pub(crate) enum Model {
    Users(Box<Users>),
    Products(Box<Products>),
}

/// One lane's audit.
pub(crate) struct LaneAudit<'a> {
    pub(super) lane: Lane,
    evidence: &'a LaneEvidence,
    pub(super) mail: &'a Mail,
    pub(super) lanes: u16,
    pub(super) codec: Codec,
    pub(super) model: Model,
    books: Books,
    positions: Positions,
    pub(super) received: BTreeMap<u16, u64>,
    sent: BTreeMap<u16, u64>,
    stamp: Stamp,
    sequence: u64,
    epoch: u64,
    told: Vec<Answer>,
    dead: Vec<DeadLetter>,
    codes: BTreeMap<Code, u64>,
}

pub(crate) fn journal(what: impl Into<String>) -> Violation {
    Violation::new(Invariant::Journal, what)
}

impl<'a> LaneAudit<'a> {
    pub(crate) fn new(shop: &Shop, evidence: &'a LaneEvidence, mail: &'a Mail) -> Self {
        let (lane, index) = (evidence.lane, evidence.lane.index);
        let model = match lane.role {
            Role::Users => Model::Users(Box::new(Users::new(shop.clone(), index))),
            Role::Products => Model::Products(Box::new(Products::new(shop.clone(), index))),
        };
        Self {
            lane,
            evidence,
            mail,
            lanes: shop.lanes,
            codec: Codec::embedded(),
            model,
            books: Books::default(),
            positions: Positions::default(),
            received: BTreeMap::new(),
            sent: BTreeMap::new(),
            stamp: Stamp(0),
            sequence: 0,
            epoch: 0,
            told: Vec::new(),
            dead: Vec::new(),
            codes: BTreeMap::new(),
        }
    }

    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        let mut previous = Hash::ZERO;
        for (number, (step, record)) in (1..).zip(&self.evidence.steps) {
            let sequence = self.sequence + 1;
            if (step.role, step.lane) != (self.lane.role, self.lane.index) {
                return Err(journal("a step of another lane").at(sequence));
            }
            if step.number != number || step.previous != previous {
                let what = format!("step {} is not chained as step {number}", step.number);
                return Err(journal(what).at(sequence));
            }
            previous = Hash::of(&record.value);
            self.check_epoch(step).map_err(|found| found.at(sequence))?;
            for entry in &step.entries {
                self.entry(entry).map_err(|found| found.at(entry.sequence))?;
            }
            self.check_header(step).map_err(|found| found.at(self.sequence))?;
        }
        self.books.check_money()
    }

    /// Each owner opens with an epoch of its own.
    fn check_epoch(&mut self, step: &Step) -> Result<(), Violation> {
        let opened = step.entries.iter().any(|entry| entry.input.is_none());
        let is_next = step.epoch == self.epoch + u64::from(opened);
        self.epoch = step.epoch;
        if is_next { Ok(()) } else { Err(journal(format!("epoch {}", step.epoch))) }
    }

    fn check_header(&self, step: &Step) -> Result<(), Violation> {
        if step.positions != self.positions {
            let what = format!("positions {:?}, read up to {:?}", step.positions, self.positions);
            return Err(journal(what));
        }
        for peer in &step.peers {
            let of = |numbers: &BTreeMap<u16, u64>| numbers.get(&peer.lane).copied().unwrap_or(0);
            if (peer.sent, peer.received) != (of(&self.sent), of(&self.received)) {
                return Err(journal(format!("header says {peer:?}")));
            }
        }
        for account in [Account::Funding, Account::Revenue] {
            let stated = step.balances.iter().find(|stated| stated.account == account);
            let stated = i128::from(stated.map_or(0, |stated| stated.balance));
            if stated != self.books.balance(account, u64::from(self.lane.index)) {
                let what = format!("header says {account:?} {stated}");
                return Err(Violation::new(Invariant::Postings, what));
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), Violation> {
        self.sequence += 1;
        if entry.sequence != self.sequence || entry.stamp <= self.stamp {
            let what = format!("sequence {}, stamp {:?}", entry.sequence, entry.stamp);
            return Err(journal(format!("{what} after {:?}", self.stamp)));
        }
        self.stamp = entry.stamp;
        let Some(input) = entry.input else { return self.opened(entry) };
        let record = self.input(entry, input)?;
        self.books.post(entry)?;
        for sent in &entry.messages {
            *self.sent.entry(sent.lane).or_default() += 1;
        }
        let as_of = AsOf { sequence: entry.sequence, stamp: entry.stamp };
        let now = Now { as_of, at: record.at };
        let judged = match input.source {
            Source::Commands => self.command(&now, record)?,
            Source::Inbox => self.message(&now, record)?,
        };
        judged.expected.compare(entry)?;
        if judged.after.is_some_and(|after| entry.stamp <= after) || entry.stamp.0 < record.at.0 {
            return Err(journal(format!("stamp {:?} is before its cause", entry.stamp)));
        }
        if (entry.command_id, &entry.actor) != (judged.command_id, &judged.actor) {
            let what = format!("said to be of {:?} by {:?}", entry.command_id, entry.actor);
            return Err(Violation::new(Invariant::Acknowledged, what));
        }
        if entry.verdict == Verdict::Dead {
            self.dead.push(rest::dead_letter(self.lane, input.source, record, entry.code));
        }
        *self.codes.entry(entry.code).or_default() += 1;
        self.told.extend_from_slice(&entry.answers);
        Ok(())
    }

    /// A new owner changes nothing.
    fn opened(&self, entry: &Entry) -> Result<(), Violation> {
        let epoch = self.epoch;
        let is_empty = entry.postings.is_empty() && entry.messages.is_empty();
        match entry.changes.as_slice() {
            [Change::Opened(opened)] if opened.epoch == epoch && is_empty => Ok(()),
            _ => Err(journal("an entry without an input that is more than an opening")),
        }
    }

    /// The record that an entry is about: the next one of its input.
    fn input(&mut self, entry: &Entry, input: InputRef) -> Result<&'a LogRecord, Violation> {
        let evidence = self.evidence;
        let (records, next) = match input.source {
            Source::Commands => (&evidence.commands, &mut self.positions.commands),
            Source::Inbox => (&evidence.inbox, &mut self.positions.inbox),
        };
        if input.offset != *next {
            let what = format!("input {input:?} is decided where {next} was next");
            return Err(Violation::new(Invariant::Acknowledged, what));
        }
        *next += 1;
        let record = usize::try_from(input.offset).ok().and_then(|place| records.get(place));
        record.filter(|record| record.at == input.at).ok_or_else(|| {
            let what = format!("entry {} is about {input:?}, which is not there", entry.sequence);
            Violation::new(Invariant::Acknowledged, what)
        })
    }

    /// Nothing is left unread, and what was told to others is what happened.
    pub(crate) fn check_rest(&self) -> Result<(), Violation> {
        let LaneEvidence { commands, inbox, feed, .. } = self.evidence;
        let ends = Positions { commands: commands.len() as u64, inbox: inbox.len() as u64 };
        if self.positions != ends {
            let what = format!("decided up to {:?} of {ends:?}", self.positions);
            return Err(Violation::new(Invariant::Acknowledged, what));
        }
        for ((sender, receiver), sent) in self.mail {
            let received = self.received.get(&sender.index).copied().unwrap_or(0);
            if *receiver == self.lane && received != sent.len() as u64 {
                let what = format!("{received} of {} messages of {sender} came", sent.len());
                return Err(journal(what));
            }
        }
        match &self.model {
            Model::Users(model) => rest::check_feed(&self.codec, &model.events, feed),
            Model::Products(model) => rest::check_feed(&self.codec, &model.sales, feed),
        }
    }

    /// Hands over what was worked out.
    pub(crate) fn report(self, facts: &mut Facts, dead: &mut Vec<DeadLetter>) {
        let lane = self.lane;
        for Answer { command_id, asker, outcome } in self.told {
            let who = (asker.reply_to, command_id, asker.position);
            facts.told.entry(who).or_default().push(outcome);
        }
        facts
            .received
            .extend(self.received.into_iter().map(|(from, number)| ((lane, from), number)));
        facts.entries += self.sequence;
        let steps = self.evidence.steps.len() as u64;
        let (sequence, stamp, positions) = (self.sequence, self.stamp, self.positions);
        let watermark = Watermark { step: steps, journal: steps, sequence, stamp, positions };
        facts.watermarks.push((lane, watermark));
        for (code, count) in self.codes {
            *facts.codes.entry(code).or_default() += count;
        }
        dead.extend(self.dead);
        match self.model {
            Model::Users(model) => super::rows::of_users(facts, lane, *model),
            Model::Products(model) => super::rows::of_products(facts, lane, *model),
        }
    }
}
