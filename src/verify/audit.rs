//! The first pass: every record of the log, in the log's own order, through every check. What
//! causes something lies before it in the log, so one pass sees causes first, and only what is in
//! flight has to be remembered.

use super::{
    accounts::{Accounts, Moved},
    derived::{self, Derived},
    findings::{Desk, Findings, Invariant, Place},
    fold::Folds,
    frames::Frame,
    inputs::{self, Digest, Input, Inputs},
    journal::Journals,
    orders::Orders,
    outcomes::Outcomes,
    records::{Offsets, Record, Records},
    refusals,
    segments::Directory,
    state,
    tops::Sales,
};
use jupan_schemas::{
    Change, Codec, CommandResult, Entry, Lane, OrderEvent, OrderEventLine, OrderId, OrderStatus,
    Role, Sale, Step, TopProducts, TopicId, Verdict, partition_of,
};

/// Everything that the checks remember.
pub(super) struct Audit {
    lanes: u16,
    is_captured: bool,
    codec: Codec,
    pub(super) findings: Findings,
    pub(super) offsets: Offsets,
    pub(super) inputs: Inputs,
    pub(super) journals: Journals,
    pub(super) accounts: Accounts,
    pub(super) orders: Orders,
    pub(super) outcomes: Outcomes,
    pub(super) sales: Sales,
    pub(super) folds: Folds,
    derived: Derived,
    moved: Vec<Moved>,
    sold: Vec<Sale>,
}

impl Audit {
    pub(super) fn new(directory: &Directory) -> Self {
        let lanes = directory.lanes;
        Self {
            lanes,
            is_captured: directory.is_captured,
            codec: directory.codec.clone(),
            findings: Findings::default(),
            offsets: Offsets::default(),
            inputs: Inputs::new(lanes),
            journals: Journals::new(lanes, directory.is_captured),
            accounts: Accounts::new(lanes),
            orders: Orders::new(lanes),
            outcomes: Outcomes::default(),
            sales: Sales::new(lanes),
            folds: Folds::new(lanes, false),
            derived: Derived::default(),
            moved: Vec::new(),
            sold: Vec::new(),
        }
    }

    /// Takes one frame through all checks.
    pub(super) fn frame(&mut self, frame: &Frame<'_>) {
        let place = Place {
            segment: Some(frame.segment),
            position: Some(frame.position),
            ..Place::default()
        };
        match Records::of(frame.payload) {
            Ok(records) => {
                for record in records {
                    match record {
                        Ok(record) => self.record(&record, place),
                        Err(wrong) => self.malformed(place, wrong.0),
                    }
                }
            }
            Err(wrong) => self.malformed(place, wrong.0),
        }
        self.derived.settle(place, &mut self.findings);
    }

    fn malformed(&mut self, place: Place, found: &str) {
        let mut desk = Desk { findings: &mut self.findings, place };
        desk.fault(Invariant::Log, "payload of the frame", "records", found);
    }

    fn record(&mut self, record: &Record<'_>, place: Place) {
        let at = record.at;
        let place = Place { record: Some(at), ..place };
        let mut desk = Desk { findings: &mut self.findings, place };
        // A broker keeps marks of its own between records, and has no order between partitions.
        if !self.is_captured {
            self.offsets.check(at, &mut desk);
        }
        if let Some((role, source)) = derived::input_of(at.topic) {
            let lane = Lane { role, index: at.partition };
            let body = self.inputs.arrive(lane, source, record, &self.codec, &mut desk);
            self.derived.found_message(at, role, body);
            return;
        }
        match at.topic {
            TopicId::UserJournal => self.step(Role::Users, record, place),
            TopicId::ProductJournal => self.step(Role::Products, record, place),
            TopicId::OrderEvents => {
                self.derived.found_event(at, self.codec.decode::<OrderEvent>(record.value).ok());
            }
            TopicId::Sales => {
                self.derived.found_sale(at, self.codec.decode::<Sale>(record.value).ok());
            }
            TopicId::TopProducts => match self.codec.decode::<TopProducts>(record.value) {
                Ok(list) => self.sales.check(&list, &mut desk),
                Err(wrong) => desk.fault(Invariant::TopSellers, "record", "a list", wrong),
            },
            TopicId::CommandResults => match self.codec.decode::<CommandResult>(record.value) {
                Ok(result) => self.outcomes.result(&result, &mut desk),
                Err(wrong) => desk.fault(Invariant::Outcomes, "record", "a result", wrong),
            },
            TopicId::DeadLetters => {
                let about = "headers of a dead letter";
                let is_told = record.headers > 0;
                desk.rule(Invariant::Inputs, about, is_told, "cause and origin", "none");
                self.derived.found_dead(at, Digest::of(record.value));
            }
            _ => {}
        }
    }

    fn step(&mut self, role: Role, record: &Record<'_>, place: Place) {
        let lane = Lane { role, index: record.at.partition };
        let place = Place { lane: Some(lane), ..place };
        let mut desk = Desk { findings: &mut self.findings, place };
        if lane.index >= self.lanes {
            desk.fault(Invariant::Log, "partition", "one of the lanes'", lane.index);
            return;
        }
        let step = match self.codec.decode::<Step>(record.value) {
            Ok(step) => step,
            Err(wrong) => {
                desk.fault(Invariant::Journal, "record", "a step", wrong);
                self.journals.unreadable(lane, record.value);
                return;
            }
        };
        desk.place.step = Some(step.number);
        let place = desk.place;
        self.journals.begin(lane, &step, record.value, record.appended, &mut desk);
        for entry in &step.entries {
            let place = Place { sequence: Some(entry.sequence), ..place };
            self.entry(lane, entry, place);
        }
        let mut desk = Desk { findings: &mut self.findings, place };
        self.journals.end(lane, &step, &self.accounts, &mut desk);
        let last = step.entries.last().map_or(0, |entry| entry.sequence);
        let Self { folds, orders, .. } = self;
        folds.end_step(lane, last, &|hold| state::fits_hold(orders, hold));
        self.derived.step(place, step);
    }

    fn entry(&mut self, lane: Lane, entry: &Entry, place: Place) {
        let mut desk = Desk { findings: &mut self.findings, place };
        let input = entry.input.and_then(|at| self.inputs.take(lane, at, &mut desk));
        let input = input.as_ref();
        let is_news = self.journals.entry(lane, entry, input, &mut desk);
        inputs::check(entry, input, &mut desk);
        let news = input.filter(|_| is_news);
        let due = news.and_then(|input| self.orders.due(lane, input, &self.accounts));
        self.accounts.entry(lane, entry, &mut self.moved, &mut desk);
        let Self { outcomes, orders, codec, .. } = self;
        let decides = outcomes.entry(entry, input, due.as_ref(), orders, codec, &mut desk);
        let due = due.filter(|_| decides);
        orders.entry(lane, entry, input, due.as_ref(), &mut self.moved, &mut desk);
        refusals::check(entry, input, &self.accounts, &self.orders, &mut desk);
        self.folds.entry(lane, entry, &mut desk);
        self.derive(lane, entry, input, place);
        self.orders.orders.settle();
    }

    /// Notes what must go with the entry in its frame.
    fn derive(&mut self, lane: Lane, entry: &Entry, input: Option<&Input>, place: Place) {
        if let (Verdict::Dead, Some(input)) = (entry.verdict, input) {
            self.derived.mean_dead(place, input.digest);
        }
        match lane.role {
            Role::Users => {
                for change in &entry.changes {
                    let Some(event) = self.order_event(lane, entry, change) else { continue };
                    let partition = partition_of(event.user_id.0, self.lanes);
                    self.derived.mean_event(partition, place, event);
                }
            }
            Role::Products => {
                self.orders.sales(lane, entry, &mut self.sold);
                for sale in self.sold.drain(..) {
                    let partition = partition_of(sale.product_id.0, self.lanes);
                    self.sales.add(partition, &sale);
                    self.derived.mean_sale(partition, place, sale);
                }
            }
        }
    }

    /// What the outside is told where an order is placed, is payable, ends or gives back.
    fn order_event(&self, lane: Lane, entry: &Entry, change: &Change) -> Option<OrderEvent> {
        let (id, status): (OrderId, OrderStatus) = match change {
            Change::OrderPlaced(placed) => (placed.order_id, OrderStatus::Pending),
            Change::OrderReserved(reserved) => (reserved.order_id, OrderStatus::Pending),
            Change::OrderEnded(ended) => (ended.order_id, ended.status),
            Change::LinesRefunded(refunded) => (refunded.order_id, refunded.status),
            _ => return None,
        };
        let order = self.orders.orders.find(id)?;
        let is_failed = order.status == OrderStatus::Failed;
        let lines = order.lines.iter().map(|line| OrderEventLine {
            product_id: line.product,
            quantity: line.units,
            price: line.price.unwrap_or_default(),
            refunded: line.refunded,
        });
        Some(OrderEvent {
            event_id: format!("{lane}/{}", entry.sequence),
            order_id: id.to_string(),
            user_id: order.user,
            status: status.as_str().to_owned(),
            reason: is_failed.then(|| order.reason.as_str().to_owned()),
            total_price: order.total,
            occurred_at: order.occurred_at.unwrap_or(order.placed_at),
            at: entry.input?.at,
            stamp: entry.stamp,
            lines: lines.collect(),
        })
    }
}
