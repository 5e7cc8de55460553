//! What a user lane's inputs had to lead to: orders, from PENDING to their end.

use super::{
    Now,
    expected::Expected,
    keys::plain,
    users::{Users, Wish},
};
use jupan_schemas::{
    Asker, Change, Code, LaneReserved, Message, Money, OrderEnded, OrderEvent, OrderEventLine,
    OrderId, OrderReserved, OrderStatus, Outcome, Payment, PricedLine, ProductId, Release,
    Reserved, Settle, UserPayload, Verdict, partition_of,
    rows::{HistoryLine, OrderLine, OrderRow},
};
use std::collections::BTreeSet;

/// An order as it must be, with the wish that made it.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) row: OrderRow,
    pub(crate) body: UserPayload,
}

impl Users {
    pub(crate) fn pay(&mut self, now: &Now, wish: &Wish, id: OrderId) -> Result<Expected, String> {
        let row = self.own(wish, id);
        let refused = match row {
            None => Some(Code::OrderNotFound),
            Some(row) if row.status == OrderStatus::Pending => match () {
                () if now.at > row.deadline => Some(Code::OrderExpired),
                () if row.payment_due.is_none() => Some(Code::OrderNotReady),
                () => None,
            },
            Some(row) if row.reason == Some(Code::Expired) => Some(Code::OrderExpired),
            Some(_) => Some(Code::OrderNotPending),
        };
        if let Some(code) = refused {
            return Ok(self.refuse_order(now, wish, code, id));
        }
        let mut expected = Expected::accepted();
        self.debit(now, id, &mut expected)?;
        let outcome = Outcome { order_id: Some(id), ..plain(expected.code) };
        Ok(self.keys.conclude(wish, now, outcome, expected))
    }

    pub(crate) fn cancel(
        &mut self,
        now: &Now,
        wish: &Wish,
        id: OrderId,
    ) -> Result<Expected, String> {
        match self.own(wish, id).map(|row| row.status) {
            None => Ok(self.refuse_order(now, wish, Code::OrderNotFound, id)),
            Some(OrderStatus::Pending) => {
                let mut expected = Expected::accepted();
                self.fail(now, id, plain(Code::Cancelled), &mut expected)?;
                let outcome = Outcome { order_id: Some(id), ..plain(Code::Ok) };
                Ok(self.keys.conclude(wish, now, outcome, expected))
            }
            Some(_) => Ok(self.refuse_order(now, wish, Code::OrderNotPending, id)),
        }
    }

    /// The order that a wish names, if it is the asker's own.
    pub(crate) fn own(&self, wish: &Wish, id: OrderId) -> Option<&OrderRow> {
        let row = &self.orders.get(&id)?.row;
        (row.user_id.0 == wish.id).then_some(row)
    }

    /// An order that is not there is not named.
    pub(crate) fn refuse_order(
        &mut self,
        now: &Now,
        wish: &Wish,
        code: Code,
        id: OrderId,
    ) -> Expected {
        let order_id = (code != Code::OrderNotFound).then_some(id);
        self.keys.refuse(wish, now, Outcome { order_id, ..plain(code) })
    }

    fn pending(&mut self, id: OrderId) -> Result<Option<&mut OrderRow>, String> {
        let order = self.orders.get_mut(&id).ok_or_else(|| format!("order {id} is not known"))?;
        Ok(Some(&mut order.row).filter(|row| row.status == OrderStatus::Pending))
    }

    pub(crate) fn reserved(
        &mut self,
        now: &Now,
        lane: u16,
        told: &Reserved,
    ) -> Result<Expected, String> {
        let ignored = Expected::nothing(Verdict::Ignored, Code::Ok);
        let (order_id, lines) = (told.order_id, told.lines.clone());
        let Some(row) = self.pending(order_id)? else { return Ok(ignored) };
        let mut expected = Expected::accepted();
        if now.at > row.deadline {
            self.fail(now, order_id, plain(Code::Expired), &mut expected)?;
            return Ok(expected);
        }
        expected.change(Change::LaneReserved(LaneReserved { order_id, lane, lines }));
        row.awaits.retain(|awaited| *awaited != lane);
        (row.updated_at, row.as_of) = (now.at, now.as_of);
        for PricedLine { product_id, quantity, price } in &told.lines {
            let line = row.lines.iter_mut().find(|line| line.product_id == *product_id);
            let line = line.filter(|line| line.quantity == *quantity && line.price.is_none());
            line.ok_or_else(|| format!("{order_id} has no such line: {told:?}"))?.price =
                Some(*price);
        }
        let (is_complete, payment, deadline) = (row.awaits.is_empty(), row.payment, row.deadline);
        match (is_complete, payment) {
            (false, _) => {}
            (true, Payment::Now) => self.debit(now, order_id, &mut expected)?,
            (true, Payment::Later) => match total(&row.lines) {
                None => self.fail(now, order_id, plain(Code::TotalLimit), &mut expected)?,
                Some(sum) => {
                    row.total = Money(sum);
                    row.payment_due = Some(deadline);
                    let outcome = Outcome { order_id: Some(order_id), ..plain(Code::Ok) };
                    row.outcome = Some(outcome);
                    let askers = std::mem::take(&mut row.askers);
                    let due = OrderReserved { order_id, payment_due: deadline };
                    expected.change(Change::OrderReserved(due));
                    tell_all(order_id, askers, outcome, &mut expected);
                    self.event(now, order_id);
                }
            },
        }
        Ok(expected)
    }

    pub(crate) fn refused(
        &mut self,
        now: &Now,
        why: Outcome,
        id: OrderId,
    ) -> Result<Expected, String> {
        if self.pending(id)?.is_none() {
            return Ok(Expected::nothing(Verdict::Ignored, Code::Ok));
        }
        let mut expected = Expected::accepted();
        self.fail(now, id, why, &mut expected)?;
        Ok(expected)
    }

    /// A reminder, whoever sent it: only the order and the time count.
    pub(crate) fn expire(&mut self, now: &Now, id: OrderId) -> Result<Expected, String> {
        let row = self.orders.get(&id).map(|order| &order.row);
        let is_due =
            row.is_some_and(|row| row.status == OrderStatus::Pending && now.at >= row.deadline);
        if !is_due {
            return Ok(Expected::nothing(Verdict::Ignored, Code::Ok));
        }
        let mut expected = Expected::accepted();
        self.fail(now, id, plain(Code::Expired), &mut expected)?;
        Ok(expected)
    }

    /// Everything is held: the wallet pays, or the order fails.
    fn debit(&mut self, now: &Now, id: OrderId, expected: &mut Expected) -> Result<(), String> {
        let Some(row) = self.pending(id)? else { return Err(format!("{id} is paid twice")) };
        let (user_id, sum, occurred_at) = (row.user_id, total(&row.lines), row.occurred_at);
        let Some(sum) = sum else { return self.fail(now, id, plain(Code::TotalLimit), expected) };
        let balance = self.users.get(&user_id).map_or(0, |user| user.balance.0);
        if balance < sum {
            return self.fail(now, id, plain(Code::InsufficientBalance), expected);
        }
        self.move_money(now, user_id, -sum, Some(id), expected);
        let sold_at = occurred_at.unwrap_or(now.at);
        for lane in self.lanes_of(id) {
            expected.messages.push((lane, Message::Settle(Settle { order_id: id, sold_at })));
        }
        self.end(now, id, (OrderStatus::Success, plain(Code::Ok), sum), expected);
        Ok(())
    }

    pub(crate) fn fail(
        &mut self,
        now: &Now,
        id: OrderId,
        why: Outcome,
        expected: &mut Expected,
    ) -> Result<(), String> {
        let Some(row) = self.pending(id)? else { return Err(format!("{id} fails twice")) };
        let lines: Vec<(ProductId, i64)> =
            row.lines.iter().map(|line| (line.product_id, line.quantity.0)).collect();
        let (user_id, from_cart) = (row.user_id, row.from_cart);
        let sum = total(&row.lines).unwrap_or(0);
        for lane in self.lanes_of(id) {
            expected.messages.push((lane, Message::Release(Release { order_id: id })));
        }
        if from_cart {
            let back = self.put_back(now, user_id, &lines);
            expected.change(back);
        }
        self.end(now, id, (OrderStatus::Failed, why, sum), expected);
        Ok(())
    }

    fn end(
        &mut self,
        now: &Now,
        order_id: OrderId,
        (status, why, sum): (OrderStatus, Outcome, i64),
        expected: &mut Expected,
    ) {
        let Some(Order { row, .. }) = self.orders.get_mut(&order_id) else { return };
        let outcome = Outcome { order_id: Some(order_id), ..why };
        tell_all(order_id, std::mem::take(&mut row.askers), outcome, expected);
        let is_success = status == OrderStatus::Success;
        row.status = status;
        row.reason = (!is_success).then_some(why.code);
        row.reason_product = why.product_id;
        row.total = Money(sum);
        row.sold_at = is_success.then_some(row.occurred_at.unwrap_or(now.at));
        row.awaits.clear();
        row.payment_due = None;
        row.outcome = row.outcome.or(Some(outcome));
        row.history.push(HistoryLine { status, reason: row.reason, at: now.at });
        (row.updated_at, row.as_of) = (now.at, now.as_of);
        expected.code = why.code;
        expected.change(Change::OrderEnded(OrderEnded {
            order_id,
            status,
            code: why.code,
            product_id: why.product_id,
            total_price: Money(sum),
        }));
        self.event(now, order_id);
    }

    fn lanes_of(&self, id: OrderId) -> BTreeSet<u16> {
        let lines =
            self.orders.get(&id).map(|order| order.row.lines.as_slice()).unwrap_or_default();
        lines.iter().map(|line| partition_of(line.product_id.0, self.shop.lanes)).collect()
    }

    /// What the data platform is told about the order as it is now.
    pub(crate) fn event(&mut self, now: &Now, id: OrderId) {
        let Some(Order { row, .. }) = self.orders.get(&id) else { return };
        let line = |line: &OrderLine| OrderEventLine {
            product_id: line.product_id,
            quantity: line.quantity,
            price: line.price.unwrap_or(Money(0)),
            refunded: line.refunded,
        };
        self.events.push(OrderEvent {
            event_id: format!("users/{}/{}", self.lane, now.as_of.sequence),
            order_id: id.to_string(),
            user_id: row.user_id,
            status: row.status.as_str().to_owned(),
            reason: row.reason.map(|code| code.as_str().to_owned()),
            total_price: row.total,
            occurred_at: row.occurred_at.unwrap_or(row.created_at),
            at: now.at,
            stamp: now.as_of.stamp,
            lines: row.lines.iter().map(line).collect(),
        });
    }
}

fn tell_all(id: OrderId, askers: Vec<Asker>, outcome: Outcome, expected: &mut Expected) {
    let Some(command_id) = id.command() else { return };
    askers.into_iter().for_each(|asker| expected.tell(command_id, Some(asker), outcome));
}

/// What lines cost, if every price is known and the sum can be counted.
fn total(lines: &[OrderLine]) -> Option<i64> {
    let mut sum: i128 = 0;
    for line in lines {
        let cost = i128::from(line.price?.0) * i128::from(line.quantity.0);
        sum += cost;
        i64::try_from(sum).ok()?;
    }
    i64::try_from(sum).ok()
}
