//! Refused: a product lane holds nothing, so the order fails at once and the others release.

use super::{
    Users, end,
    state::{self, Order},
};
use crate::{Broken, Decision, Rules};
use jupan_schemas::{Code, Outcome, Refused, Verdict};

fn check(order: &Order, lane: u16, told: &Refused) -> Result<(), &'static str> {
    if !order.awaits.contains(&lane) {
        return Err("a product lane answers that was not asked, or has answered");
    }
    if !order.lines.iter().any(|line| line.product_id == told.product_id) {
        return Err("no line of the order has the product that was refused");
    }
    if told.code == Code::Ok { Err("refused without a reason") } else { Ok(()) }
}

pub(super) fn decide(
    users: &Users,
    rules: &Rules,
    lane: u16,
    told: &Refused,
) -> Result<Decision, Broken> {
    let id = told.order_id;
    let order = state::known(users.orders.find(id)?, id)?;
    if !order.is_pending() {
        return Ok(Decision::nothing(Verdict::Ignored, Code::Ok));
    }
    check(order, lane, told).map_err(|what| Broken::about("order", id, what))?;
    let why = Outcome { product_id: Some(told.product_id), ..Outcome::of(told.code) };
    end::fail(users, rules, (id, order), &order.lines, why)
}
