//! What a RefundOrder had to lead to.

use super::{
    Now,
    expected::Expected,
    keys::plain,
    users::{Users, Wish},
};
use jupan_schemas::{
    Change, Code, Line, LinesRefunded, Message, Micros, OrderStatus, Outcome, PricedLine,
    ProductId, RefundOrder, Return, Units, partition_of,
    rows::{HistoryLine, OrderRow},
};
use std::collections::BTreeMap;

/// The units to give back, in the order of the order's lines; or what is wrong with the wish.
fn wanted(row: &OrderRow, items: &[Line]) -> Result<Vec<PricedLine>, Outcome> {
    let about = |code, product_id| Outcome { product_id: Some(product_id), ..plain(code) };
    let mut asked: BTreeMap<ProductId, i128> = BTreeMap::new();
    for item in items {
        if item.quantity.0 < 1 {
            return Err(about(Code::InvalidQuantity, item.product_id));
        }
        let is_bought = row.lines.iter().any(|line| line.product_id == item.product_id);
        let sum = asked.entry(item.product_id).or_default();
        *sum += i128::from(item.quantity.0);
        if !is_bought || *sum > i128::from(i64::MAX) {
            return Err(about(Code::RefundExceeds, item.product_id));
        }
    }
    let mut back = Vec::new();
    for line in &row.lines {
        let left = line.quantity.0 - line.refunded.0;
        let units = match items {
            [] => i128::from(left),
            _ => asked.get(&line.product_id).copied().unwrap_or(0),
        };
        if units > i128::from(left) {
            return Err(about(Code::RefundExceeds, line.product_id));
        }
        if let (Ok(units @ 1..), Some(price)) = (i64::try_from(units), line.price) {
            back.push(PricedLine { product_id: line.product_id, quantity: Units(units), price });
        }
    }
    if back.is_empty() { Err(plain(Code::RefundExceeds)) } else { Ok(back) }
}

impl Users {
    pub(crate) fn refund(
        &mut self,
        now: &Now,
        wish: &Wish,
        body: &RefundOrder,
    ) -> Result<Expected, String> {
        let id = body.order_id;
        let Some(row) = self.own(wish, id) else {
            return Ok(self.refuse_order(now, wish, Code::OrderNotFound, id));
        };
        if matches!(row.status, OrderStatus::Pending | OrderStatus::Failed) {
            return Ok(self.refuse_order(now, wish, Code::OrderNotPaid, id));
        }
        let (user_id, sold_at) = (row.user_id, row.sold_at);
        let lines = match wanted(row, &body.items) {
            Ok(lines) => lines,
            Err(outcome) => {
                let outcome = Outcome { order_id: Some(id), ..outcome };
                return Ok(self.keys.refuse(wish, now, outcome));
            }
        };
        let cost = |line: &PricedLine| i128::from(line.price.0) * i128::from(line.quantity.0);
        let amount: i128 = lines.iter().map(cost).sum();
        let amount = i64::try_from(amount).map_err(|_| format!("refund of {id} has no amount"))?;
        let balance = self.users.get(&user_id).map_or(0, |user| user.balance.0);
        if i128::from(balance) + i128::from(amount) > 1_000_000_000_000_000 {
            return Ok(self.refuse_order(now, wish, Code::BalanceLimit, id));
        }
        let mut expected = Expected::accepted();
        self.move_money(now, user_id, amount, Some(id), &mut expected);
        let sold_at = sold_at.ok_or_else(|| format!("{id} is paid, but never sold"))?;
        self.give_back(now, body, (&lines, sold_at), &mut expected);
        let outcome = Outcome { order_id: Some(id), ..plain(Code::Ok) };
        Ok(self.keys.conclude(wish, now, outcome, expected))
    }

    fn give_back(
        &mut self,
        now: &Now,
        body: &RefundOrder,
        (lines, sold_at): (&[PricedLine], Micros),
        expected: &mut Expected,
    ) {
        let id = body.order_id;
        let lanes = self.shop.lanes;
        let Some(row) = self.orders.get_mut(&id).map(|order| &mut order.row) else { return };
        for back in lines {
            for line in row.lines.iter_mut().filter(|line| line.product_id == back.product_id) {
                line.refunded = Units(line.refunded.0 + back.quantity.0);
            }
        }
        (row.updated_at, row.as_of) = (now.at, now.as_of);
        if row.lines.iter().all(|line| line.refunded == line.quantity) {
            row.status = OrderStatus::Refunded;
            let (status, reason) = (row.status, None);
            row.history.push(HistoryLine { status, reason, at: now.at });
        }
        let mut by_lane: BTreeMap<u16, Vec<PricedLine>> = BTreeMap::new();
        for line in lines {
            by_lane.entry(partition_of(line.product_id.0, lanes)).or_default().push(*line);
        }
        let unpriced =
            |line: &PricedLine| Line { product_id: line.product_id, quantity: line.quantity };
        let given = lines.iter().map(unpriced).collect();
        let refunded = LinesRefunded { order_id: id, lines: given, status: row.status };
        expected.change(Change::LinesRefunded(refunded));
        for (lane, lines) in by_lane {
            let back = Return { order_id: id, lines, sold_at };
            expected.messages.push((lane, Message::Return(back)));
        }
        self.event(now, id);
    }
}
