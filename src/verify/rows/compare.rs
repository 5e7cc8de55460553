//! Every single thing that the store keeps, held against the fold.

use super::{
    super::{
        Failure,
        findings::{Invariant, Place, RowName},
        fold::Folds,
        shelf::{Kept, pack, unpack},
    },
    Comparison,
    aside::{self, Waiting},
    faults::{At, difference},
    statements::Compared,
};
use jupan_schemas::{
    Lane, Micros, OrderId, Role, UserId, partition_of,
    rows::{AsOf, Key, Row, StatementRow},
};
use jupan_store::Stored;

impl Comparison {
    /// Looks through everything that is stored. Every lane must be folded up to its watermark, and
    /// what the watermarks cover must be on disk.
    pub(in super::super) fn scan(&mut self, folds: &mut Folds) -> Result<(), Failure> {
        let lanes: Vec<Lane> = self.states.iter().map(|(lane, _)| *lane).collect();
        for lane in &lanes {
            if let Some(state) = self.states.get_mut(*lane) {
                state.compared = state.last;
            }
        }
        let mut next = None;
        let is_whole = loop {
            let portion = match self.source.portion(next.as_ref())? {
                Ok(portion) => portion,
                Err(cause) => {
                    let place = Place::default();
                    let about = "rows of the store";
                    self.faults.anywhere(Invariant::Rows, place, about, "readable", cause);
                    break false;
                }
            };
            for item in portion.items {
                self.facts.rows += 1;
                self.item(item, folds)?;
            }
            next = portion.next;
            if next.is_none() {
                break true;
            }
        };
        if is_whole {
            lanes.into_iter().for_each(|lane| self.look_for_gaps(lane, folds));
        }
        self.is_scanned = true;
        Ok(())
    }

    fn item(&mut self, item: Stored, folds: &mut Folds) -> Result<(), Failure> {
        match item {
            Stored::Row(row) => self.row(&row, folds)?,
            Stored::Listed { user_id, placed, order_id } => {
                self.listed(user_id, placed, order_id, folds);
            }
            Stored::Open { lane, order_id, deadline } => self.open(lane, order_id, deadline, folds),
            Stored::Foreign { table, key, cause } => {
                let about = format!("table {table}, key {key}");
                let place = Place::default();
                self.faults.anywhere(Invariant::Rows, place, &about, "a row of its own", cause);
            }
        }
        Ok(())
    }

    fn row(&mut self, row: &Row, folds: &mut Folds) -> Result<(), Failure> {
        let as_of = row.as_of();
        let (name, owner) = (name(row), owner(row));
        let home = home(row, self.lanes);
        let lane = home.unwrap_or(owner);
        let at = At { row: name, lane, sequence: as_of.sequence, stamp: as_of.stamp.0 };
        if home != Some(owner) {
            let expected = home.map_or_else(|| "none".to_owned(), |home| home.to_string());
            self.faults.at(Invariant::Rows, at, "lane of the row", expected, owner);
            self.see(lane, name, folds);
            return Ok(());
        }
        let compared = self.states.get(lane).map_or(0, |state| state.compared);
        if as_of.sequence > compared {
            self.see(lane, name, folds);
            let waiting = Waiting { name, bytes: pack(row) };
            return match self.aside.put(lane, as_of.sequence, waiting) {
                true => Ok(()),
                false => Err(Failure::TooMany { rows: aside::ROWS_MAX }),
            };
        }
        match (row.key(), row) {
            (Some(key), _) => self.kept(at, key, row, folds),
            (None, Row::Statement(line)) => self.line(at, line),
            (None, _) => {}
        }
        Ok(())
    }

    /// The row counts as there, whatever it says.
    fn see(&mut self, lane: Lane, name: RowName, folds: &mut Folds) {
        match name {
            RowName::Key(key) => {
                if let Some(rows) = folds.shelf(lane) {
                    rows.mark(key, Kept::SEEN);
                }
            }
            RowName::Statement(_, sequence) => self.statements.see(lane, sequence),
            _ => {}
        }
    }

    /// A row that is loaded by its key, and is no newer than the fold.
    fn kept(&mut self, at: At, key: Key, row: &Row, folds: &mut Folds) {
        // Nothing is known about a lane whose fold broke.
        let Some(rows) = folds.shelf(at.lane) else { return };
        rows.mark(key, Kept::SEEN);
        let Some(kept) = rows.get(key) else {
            let found = format!("one as of entry {}", at.sequence);
            self.faults.at(Invariant::Rows, at, "row", "none: no entry makes it", found);
            return;
        };
        if kept.bytes == pack(row) {
            self.is_right(at);
        } else if let Some(expected) = kept.row() {
            let own = expected.as_of();
            let is_behind = at.sequence < own.sequence;
            let own = At { sequence: own.sequence, stamp: own.stamp.0, ..at };
            let at = if is_behind { own } else { at };
            self.differs(at, &expected, row);
        }
    }

    fn is_right(&mut self, at: At) {
        if let Some(state) = self.states.get_mut(at.lane) {
            state.highest = state.highest.max(at.sequence);
        }
    }

    /// Two rows of one key that are not the same.
    fn differs(&mut self, at: At, expected: &Row, found: &Row) {
        let (own, told) = (expected.as_of().sequence, found.as_of().sequence);
        if own != told {
            let rule = if told < own { Invariant::Reads } else { Invariant::Rows };
            let about = "entry that the row is as of";
            self.faults.at(rule, at, about, own, told);
            return;
        }
        let (fields, expected, found) = difference(expected, found);
        self.faults.at(Invariant::Rows, at, &fields, expected, found);
    }

    fn line(&mut self, at: At, line: &StatementRow) {
        let about = "change of a wallet";
        match self.statements.compare(at.lane, line) {
            Compared::Same => self.is_right(at),
            Compared::Other => {
                self.statements.see(at.lane, at.sequence);
                let found = format!("{line:?}");
                self.faults.at(Invariant::Rows, at, about, "what the entry posts", found);
            }
            Compared::Unknown => {
                let found = format!("{line:?}");
                self.faults.at(Invariant::Rows, at, about, "none: the entry makes none", found);
            }
        }
    }

    /// A row that waited for its entry, and what the entry makes of it.
    pub(super) fn settle(
        &mut self,
        lane: Lane,
        sequence: u64,
        waiting: &Waiting,
        expected: Option<&Row>,
    ) {
        let Some(found) = unpack(&waiting.bytes) else { return };
        let at = At { row: waiting.name, lane, sequence, stamp: found.as_of().stamp.0 };
        match expected.filter(|expected| expected.as_of().sequence == sequence) {
            Some(expected) if *expected == found => self.is_right(at),
            Some(expected) => self.differs(at, expected, &found),
            None => {
                let about = "entry that the row is as of";
                self.faults.at(Invariant::Rows, at, about, "one that changes it", sequence);
            }
        }
    }

    /// A place in a user's list.
    fn listed(&mut self, user: UserId, placed: u64, order: OrderId, folds: &mut Folds) {
        let lane = Lane { role: Role::Users, index: partition_of(user.0, self.lanes) };
        let Some(rows) = folds.shelf(lane) else { return };
        let Some(kept) = rows.get(Key::Order(order)) else {
            self.aside.listed.push((user, placed, order));
            return;
        };
        if is_listed_right(kept, user, placed) {
            rows.mark(Key::Order(order), Kept::LISTED);
            return;
        }
        self.listed_wrong(user, placed, order);
    }

    fn listed_wrong(&mut self, user: UserId, placed: u64, order: OrderId) {
        let lane = Lane { role: Role::Users, index: partition_of(user.0, self.lanes) };
        let place = Place {
            row: Some(RowName::Listed(user, placed)),
            lane: Some(lane),
            sequence: Some(placed),
            ..Place::default()
        };
        let expected = "an order that this entry placed";
        self.faults.anywhere(Invariant::Rows, place, "place in a list", expected, order);
    }

    /// A pending order, as the lane's timers will find it.
    fn open(&mut self, lane: u16, order: OrderId, deadline: Micros, folds: &mut Folds) {
        let home = Lane { role: Role::Users, index: lane };
        let Some(rows) = folds.shelf(home) else {
            if self.states.get(home).is_none() {
                self.open_wrong(home, order, "one of the lanes");
            }
            return;
        };
        let Some(kept) = rows.get(Key::Order(order)) else {
            self.aside.opened.push((lane, order, deadline));
            return;
        };
        let is_right = kept.is_pending() && deadline_of(kept) == Some(deadline);
        // Where it is said to be wrong, that it is not there as well would be the same again.
        rows.mark(Key::Order(order), Kept::OPEN);
        if !is_right {
            self.open_wrong(home, order, "a pending order with this deadline");
        }
    }

    fn open_wrong(&mut self, lane: Lane, order: OrderId, expected: &str) {
        let place = Place {
            row: Some(RowName::Open(lane.index, order)),
            lane: Some(lane),
            ..Place::default()
        };
        let about = "place among the pending orders";
        self.faults.anywhere(Invariant::Rows, place, about, expected, order);
    }

    /// What the fold has, and the store has not.
    fn look_for_gaps(&mut self, lane: Lane, folds: &mut Folds) {
        let Some(rows) = folds.shelf(lane) else { return };
        for (key, kept) in rows.iter() {
            let is_order = matches!(key, Key::Order(_));
            let is_unlisted = is_order && !kept.has(Kept::LISTED) && kept.has(Kept::SEEN);
            let is_missing = !kept.has(Kept::SEEN);
            if let (Key::Order(order), true) = (key, kept.is_pending())
                && !kept.has(Kept::OPEN)
            {
                self.aside.must_close.push((lane, order));
            }
            match key {
                Key::Hold(..) if is_missing => self.aside.must_end.push((lane, key)),
                _ if is_missing => self.faults.missing(at(lane, RowName::Key(key), kept)),
                Key::Order(_) if is_unlisted => {
                    if let Some(Row::Order(order)) = kept.row() {
                        let name = RowName::Listed(order.user_id, order.placed);
                        self.faults.missing(at(lane, name, kept));
                    }
                }
                _ => {}
            }
        }
        for (sequence, stamp, user) in self.statements.unseen(lane) {
            let row = RowName::Statement(user, sequence);
            self.faults.missing(At { row, lane, sequence, stamp });
        }
    }

    /// Rows whose entry did not come.
    pub(super) fn judge_left_over(&mut self, folds: &mut Folds) {
        for (lane, sequence, waiting) in self.aside.left_over() {
            if folds.shelf(lane).is_none() {
                continue;
            }
            let last = self.states.get(lane).map_or(0, |state| state.last);
            let stamp = unpack(&waiting.bytes).map_or(0, |row| row.as_of().stamp.0);
            let at = At { row: waiting.name, lane, sequence, stamp };
            let about = "entry that the row is as of";
            let expected = format!("at most {last}, the last of the journal");
            self.faults.at(Invariant::Rows, at, about, expected, sequence);
        }
    }

    /// What was not there, and must have ended meanwhile; what was there, and must have begun.
    pub(super) fn judge_missing(&mut self, folds: &mut Folds) {
        for (lane, key) in std::mem::take(&mut self.aside.must_end) {
            let kept = folds.shelf(lane).and_then(|rows| rows.get(key));
            if let Some(kept) = kept {
                self.faults.missing(at(lane, RowName::Key(key), kept));
            }
        }
        for (lane, order) in std::mem::take(&mut self.aside.must_close) {
            let kept = folds.shelf(lane).and_then(|rows| rows.get(Key::Order(order)));
            if let Some(kept) = kept.filter(|kept| kept.is_pending()) {
                self.faults.missing(at(lane, RowName::Open(lane.index, order), kept));
            }
        }
        for (index, order, deadline) in std::mem::take(&mut self.aside.opened) {
            let lane = Lane { role: Role::Users, index };
            let kept = folds.shelf(lane).and_then(|rows| rows.get(Key::Order(order)));
            if kept.and_then(deadline_of) != Some(deadline) {
                self.open_wrong(lane, order, "an order with this deadline");
            }
        }
        for (user, placed, order) in std::mem::take(&mut self.aside.listed) {
            let lane = Lane { role: Role::Users, index: partition_of(user.0, self.lanes) };
            let kept = folds.shelf(lane).and_then(|rows| rows.get(Key::Order(order)));
            if !kept.is_some_and(|kept| is_listed_right(kept, user, placed)) {
                self.listed_wrong(user, placed, order);
            }
        }
    }
}

/// Where a row of the fold belongs.
fn at(lane: Lane, row: RowName, kept: Kept<'_>) -> At {
    let AsOf { sequence, stamp } = kept.row().map(|row| row.as_of()).unwrap_or_default();
    At { row, lane, sequence, stamp: stamp.0 }
}

fn is_listed_right(kept: Kept<'_>, user: UserId, placed: u64) -> bool {
    matches!(kept.row(), Some(Row::Order(row)) if (row.user_id, row.placed) == (user, placed))
}

fn deadline_of(kept: Kept<'_>) -> Option<Micros> {
    match kept.row() {
        Some(Row::Order(row)) => Some(row.deadline),
        _ => None,
    }
}

fn name(row: &Row) -> RowName {
    match (row, row.key()) {
        (_, Some(key)) => RowName::Key(key),
        (Row::Statement(row), None) => RowName::Statement(row.user_id, row.as_of.sequence),
        (row, None) => RowName::Statement(UserId(0), row.as_of().sequence),
    }
}

/// The lane that a row says it is of.
fn owner(row: &Row) -> Lane {
    let (role, index) = match row {
        Row::User(row) => (Role::Users, row.lane),
        Row::Order(row) => (Role::Users, row.lane),
        Row::Statement(row) => (Role::Users, row.lane),
        Row::Product(row) => (Role::Products, row.lane),
        Row::Hold(row) => (Role::Products, row.lane),
        Row::Outcome(row) => {
            (row.command_id.target().map_or(Role::Users, |(role, _)| role), row.lane)
        }
    };
    Lane { role, index }
}

/// The lane that a row belongs to: that of its user or product. A hold's lane is part of its key.
fn home(row: &Row, lanes: u16) -> Option<Lane> {
    let (role, id) = match row {
        Row::User(row) => (Role::Users, row.user_id.0),
        Row::Order(row) => (Role::Users, row.order_id.user()?.0),
        Row::Statement(row) => (Role::Users, row.user_id.0),
        Row::Product(row) => (Role::Products, row.product_id.0),
        Row::Outcome(row) => row.command_id.target()?,
        Row::Hold(row) => {
            let lane = Lane { role: Role::Products, index: row.lane };
            return (row.lane < lanes).then_some(lane);
        }
    };
    Some(Lane { role, index: partition_of(id, lanes) })
}
