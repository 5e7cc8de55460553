//! A shop in memory: lanes of both roles, the messages between them, and a store of rows that lags
//! behind. Every entry is folded twice and every decision made twice, and must not differ.

use crate::{
    Asked, Core, Decision, Event, Rules,
    products::{self, Products},
    users::{self, Users},
};
use jupan_schemas::{
    Change, Codec, CommandId, Entry, Envelope, ExpireOrder, InputRef, Message, Micros, OrderId,
    ProductCommand, Role, Sent, Source, Stamp, SystemBalance, ToUsers, UserCommand, partition_of,
    rows::{Key, Row},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Rows by key, without ended holds: what counts as the state.
pub(super) type View = BTreeMap<Key, Row>;

/// One lane with its journal and its rows.
pub(super) struct Lane<C: Core> {
    pub(super) core: C,
    pub(super) journal: Vec<Entry>,
    pub(super) events: Vec<Event>,
    pub(super) statement: Vec<Row>,
    pub(super) deadlines: BTreeMap<OrderId, Micros>,
    index: u16,
    /// The store.
    rows: View,
    /// Sequence up to which the store has the rows.
    projected: usize,
    touched: BTreeSet<Key>,
    /// System accounts after each entry.
    balances: Vec<Vec<SystemBalance>>,
    sent: BTreeMap<u16, u64>,
}

/// What the lane knows of an input beside the input.
#[derive(Clone, Copy)]
struct Origin {
    source: Source,
    command_id: Option<CommandId>,
    stamp: Stamp,
    at: Micros,
}

impl<C: Core> Lane<C> {
    fn new(index: u16) -> Self {
        Self {
            core: C::new(index),
            journal: Vec::new(),
            events: Vec::new(),
            statement: Vec::new(),
            deadlines: BTreeMap::new(),
            index,
            rows: View::new(),
            projected: 0,
            touched: BTreeSet::new(),
            balances: vec![Vec::new()],
            sent: BTreeMap::new(),
        }
    }

    fn take(&mut self, rules: &Rules, input: &C::Input, origin: Origin) -> Entry {
        self.prefetch(|core, keys| core.footprint(input, keys));
        let decide = |core: &C| core.decide(rules, input, origin.at);
        let decision = decide(&self.core).unwrap_or_else(|broken| panic!("{broken}: {input:?}"));
        assert_eq!(decide(&self.core).as_ref(), Ok(&decision), "decided twice");
        let entry = self.entry(decision, origin);
        let loaded = self.core.cells();
        self.core.evolve(&entry).unwrap_or_else(|broken| panic!("{broken}: {entry:?}"));
        // A hold is opened by the first message about its order, so it is not looked up.
        let opened = |change: &&Change| matches!(change, Change::HoldOpened(_));
        let most = loaded + entry.changes.iter().filter(opened).count();
        let range = loaded..=most;
        assert!(range.contains(&self.core.cells()), "the footprint covers what the entry changes");
        self.note(&entry);
        entry
    }

    /// Loads what memory lacks; what a hold names comes with a second round.
    fn prefetch(&mut self, footprint: impl Fn(&C, &mut Vec<Key>)) {
        for _ in 0..3 {
            let mut keys = Vec::new();
            footprint(&self.core, &mut keys);
            self.core.retain_missing(&mut keys);
            if keys.is_empty() {
                return;
            }
            for key in keys {
                self.core.load(key, self.rows.get(&key).cloned()).expect("a row of its own");
            }
        }
        panic!("two rounds load everything");
    }

    fn entry(&mut self, decision: Decision, origin: Origin) -> Entry {
        let last = self.journal.last().map_or(0, |entry| entry.stamp.0);
        let sequence = self.journal.len() as u64 + 1;
        let Decision { verdict, code, changes, postings, messages, answers } = decision;
        let mut send = |(lane, payload): (u16, Message)| {
            let number = self.sent.entry(lane).or_default();
            *number += 1;
            Sent { lane, number: *number, payload }
        };
        Entry {
            sequence,
            stamp: Stamp((last + 1).max(origin.stamp.0 + 1).max(origin.at.0)),
            input: Some(InputRef { source: origin.source, offset: sequence, at: origin.at }),
            command_id: origin.command_id,
            actor: "test".to_owned(),
            trace_id: None,
            verdict,
            code,
            changes,
            postings,
            messages: messages.into_iter().map(&mut send).collect(),
            answers,
        }
    }

    fn note(&mut self, entry: &Entry) {
        let mut keys = Vec::new();
        self.core.entry_footprint(entry, &mut keys);
        let rows = |core: &C| keys.iter().map(|key| core.row(*key)).collect::<Vec<_>>();
        let after = rows(&self.core);
        for row in after.iter().flatten() {
            assert_eq!(row.as_of().sequence, entry.sequence, "what changed says so: {row:?}");
        }
        self.core.evolve(entry).expect("folds again");
        assert_eq!(rows(&self.core), after, "folded twice: {entry:?}");
        self.core.events(entry, &mut |event| self.events.push(event));
        self.core.statement(entry, &mut self.statement);
        let deadlines = &mut self.deadlines;
        C::deadlines(entry, &mut |order, deadline| {
            match deadline {
                Some(deadline) => deadlines.insert(order, deadline),
                None => deadlines.remove(&order),
            };
        });
        self.touched.extend(keys);
        self.balances.push(self.core.balances());
        self.journal.push(entry.clone());
    }

    /// Brings the store up to the journal.
    pub(super) fn project(&mut self) {
        let mut rows = Vec::new();
        self.core.take_changed(&mut rows);
        let changed: BTreeSet<Key> = rows.iter().filter_map(Row::key).collect();
        // After a restart, rows come again that were projected before.
        assert!(changed.is_superset(&self.touched), "what changed is projected");
        self.touched.clear();
        self.rows.extend(rows.into_iter().filter_map(|row| Some((row.key()?, row))));
        self.rows.retain(|_, row| !is_gone(row));
        self.projected = self.journal.len();
    }

    /// Forgets what is of no more use once it is projected.
    pub(super) fn release(&mut self) {
        let before = self.core.cells();
        let dropped = self.core.release(self.projected as u64);
        assert_eq!(self.core.cells(), before - dropped);
    }

    /// Drops what may be dropped until so many cells are left.
    pub(super) fn trim(&mut self, cells_max: usize) {
        let before = self.core.cells();
        let dropped = self.core.trim(self.projected as u64, cells_max);
        assert_eq!(self.core.cells(), before - dropped);
        assert!(dropped <= before.saturating_sub(cells_max), "no more than was asked for");
    }

    /// Loses its memory, and folds the journal over the store from some entries before what the
    /// store has.
    pub(super) fn restart(&mut self, behind: usize) {
        let before = self.view();
        let from = self.projected.saturating_sub(behind);
        self.core = C::new(self.index);
        self.core.restore_balances(&self.balances[from]);
        for i in from..self.journal.len() {
            let entry = self.journal[i].clone();
            self.prefetch(|core, keys| core.entry_footprint(&entry, keys));
            self.core.evolve(&entry).unwrap_or_else(|broken| panic!("{broken}: {entry:?}"));
        }
        assert_eq!(Some(&self.core.balances()), self.balances.last(), "system accounts");
        assert_eq!(self.view(), before, "state after a restart");
    }

    /// The state: memory where there is a cell, else the store.
    pub(super) fn view(&self) -> View {
        let mut view = self.rows.clone();
        for key in self.keys() {
            if let Some(row) = self.core.row(key) {
                view.insert(key, row);
            }
        }
        view.retain(|_, row| !is_gone(row));
        view
    }

    /// The state as the journal alone tells it.
    pub(super) fn folded(&self) -> View {
        let mut fresh = Self::new(self.index);
        for entry in &self.journal {
            fresh.prefetch(|core, keys| core.entry_footprint(entry, keys));
            fresh.core.evolve(entry).expect("folds");
        }
        assert_eq!(fresh.core.balances(), self.core.balances(), "system accounts");
        fresh.journal.clone_from(&self.journal);
        fresh.view()
    }

    /// The state as an empty memory loads it from rows.
    pub(super) fn reloaded(&self) -> View {
        let mut core = C::new(self.index);
        let load = |(key, row): (Key, Row)| {
            core.load(key, Some(row)).expect("a row of its own");
            (key, core.row(key).expect("is loaded"))
        };
        self.view().into_iter().map(load).collect()
    }

    /// All cells that the journal ever changed.
    fn keys(&self) -> BTreeSet<Key> {
        let mut keys = Vec::new();
        self.journal.iter().for_each(|entry| self.core.entry_footprint(entry, &mut keys));
        keys.into_iter().collect()
    }
}

fn is_gone(row: &Row) -> bool {
    matches!(row, Row::Hold(hold) if !hold.is_open())
}

/// Receiving role, sending lane, receiving lane: messages of one pair keep their order.
pub(super) type Pair = (Role, u16, u16);

/// Both roles' lanes, and the messages on their way.
pub(super) struct Shop {
    pub(super) rules: Rules,
    pub(super) now: Micros,
    pub(super) users: Vec<Lane<Users>>,
    pub(super) products: Vec<Lane<Products>>,
    pub(super) on_their_way: BTreeMap<Pair, VecDeque<Envelope<Message>>>,
    received: BTreeMap<Pair, u64>,
    position: u64,
    codec: Codec,
}

impl Shop {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            now: Micros(1_700_000_000 * Micros::SECOND),
            users: (0..rules.lanes).map(Lane::new).collect(),
            products: (0..rules.lanes).map(Lane::new).collect(),
            rules,
            on_their_way: BTreeMap::new(),
            received: BTreeMap::new(),
            position: 0,
            codec: Codec::embedded(),
        }
    }

    /// The next record's append time.
    fn tick(&mut self) -> Micros {
        self.position += 1;
        self.now = self.now.plus(1000);
        self.now
    }

    pub(super) fn user_command(&mut self, command: UserCommand) -> Entry {
        let at = self.tick();
        let id = command.user_id.0;
        let command_id = CommandId::of(Role::Users, id, &command.key);
        let fingerprint = self.codec.user_fingerprint(&command);
        let position = self.position;
        let asked = Asked { command, command_id, fingerprint, position };
        let origin =
            Origin { source: Source::Commands, command_id: Some(command_id), stamp: Stamp(0), at };
        let lane = partition_of(id, self.rules.lanes);
        let input = users::Input::Command(asked);
        let entry = self.users[usize::from(lane)].take(&self.rules, &input, origin);
        self.send(Role::Products, lane, &entry);
        entry
    }

    pub(super) fn product_command(&mut self, command: ProductCommand) -> Entry {
        let at = self.tick();
        let id = command.product_id.0;
        let command_id = CommandId::of(Role::Products, id, &command.key);
        let fingerprint = self.codec.product_fingerprint(&command);
        let position = self.position;
        let asked = Asked { command, command_id, fingerprint, position };
        let origin =
            Origin { source: Source::Commands, command_id: Some(command_id), stamp: Stamp(0), at };
        let lane = partition_of(id, self.rules.lanes);
        let input = products::Input::Command(asked);
        let entry = self.products[usize::from(lane)].take(&self.rules, &input, origin);
        self.send(Role::Users, lane, &entry);
        entry
    }

    /// A timer's record for the order's own lane.
    pub(super) fn ring(&mut self, order_id: OrderId) -> Entry {
        let at = self.tick();
        let user = order_id.user().expect("an order id");
        let lane = partition_of(user.0, self.rules.lanes);
        let message = Envelope {
            lane: 0,
            number: 0,
            stamp: Stamp(0),
            command_id: None,
            actor: "timer".to_owned(),
            trace_id: None,
            payload: ToUsers::ExpireOrder(ExpireOrder { order_id }),
        };
        let origin = Origin { source: Source::Inbox, command_id: None, stamp: Stamp(0), at };
        let input = users::Input::Message(message);
        let entry = self.users[usize::from(lane)].take(&self.rules, &input, origin);
        self.send(Role::Products, lane, &entry);
        entry
    }

    fn send(&mut self, to: Role, from: u16, entry: &Entry) {
        for sent in &entry.messages {
            let pair = self.on_their_way.entry((to, from, sent.lane)).or_default();
            pair.push_back(Envelope {
                lane: from,
                number: sent.number,
                stamp: entry.stamp,
                command_id: entry.command_id,
                actor: entry.actor.clone(),
                trace_id: None,
                payload: sent.payload.clone(),
            });
        }
    }

    /// Pairs of lanes with messages on their way.
    pub(super) fn pairs(&self) -> Vec<Pair> {
        let waiting = self.on_their_way.iter().filter(|(_, queue)| !queue.is_empty());
        waiting.map(|(pair, _)| *pair).collect()
    }

    /// Delivers a pair's oldest message.
    pub(super) fn deliver(&mut self, pair: Pair) -> Entry {
        let queue = self.on_their_way.get_mut(&pair);
        let message = queue.and_then(VecDeque::pop_front).expect("a message is on its way");
        let received = self.received.entry(pair).or_default();
        *received += 1;
        assert_eq!(message.number, *received, "numbers are dense");
        self.hand_over(pair, message)
    }

    /// Delivers a message, whatever its number.
    pub(super) fn hand_over(&mut self, pair: Pair, message: Envelope<Message>) -> Entry {
        let at = self.tick();
        let (role, _, to) = pair;
        let Envelope { lane, number, stamp, command_id, actor, trace_id, payload } = message;
        let origin = Origin { source: Source::Inbox, command_id, stamp, at };
        macro_rules! take {
            ($lanes:ident) => {{
                let payload = payload.try_into().expect("a message of this role");
                let message =
                    Envelope { lane, number, stamp, command_id, actor, trace_id, payload };
                let input = $lanes::Input::Message(message);
                self.$lanes[usize::from(to)].take(&self.rules, &input, origin)
            }};
        }
        let entry = match role {
            Role::Users => take!(users),
            Role::Products => take!(products),
        };
        self.send(role.peer(), to, &entry);
        entry
    }

    /// Delivers everything, until nothing is on its way.
    pub(super) fn deliver_all(&mut self) {
        while let Some(pair) = self.pairs().first().copied() {
            self.deliver(pair);
        }
    }

    /// Delivers what is on its way to one role now, and nothing that comes of it.
    pub(super) fn deliver_to(&mut self, role: Role) {
        for pair in self.pairs().into_iter().filter(|pair| pair.0 == role) {
            for _ in 0..self.on_their_way[&pair].len() {
                self.deliver(pair);
            }
        }
    }

    /// Until nothing moves any more: everything is delivered, and every deadline has passed.
    pub(super) fn rest(&mut self) {
        self.deliver_all();
        self.now = self.now.plus(self.rules.order_deadline_us);
        let pending: Vec<OrderId> =
            self.users.iter().flat_map(|lane| lane.deadlines.keys().copied()).collect();
        for order in pending {
            self.ring(order);
        }
        self.deliver_all();
    }
}
