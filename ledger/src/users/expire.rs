//! ExpireOrder: a timer of this lane rang. The state decides first, then the record's time, so that
//! a timer that is early, late, doubled or a former owner's does no harm.

use super::{Users, end, state::Order};
use crate::{Broken, Decision, Rules};
use jupan_schemas::{
    Code, ExpireOrder, Micros, Outcome, Verdict,
    planted::{Bug, is_planted},
};

fn check(order: Option<&Order>, at: Micros) -> Option<&Order> {
    let is_due = |order: &&Order| at >= order.deadline || is_planted(Bug::EarlyExpiry);
    order.filter(|order| order.is_pending() && is_due(order))
}

pub(super) fn decide(
    users: &Users,
    rules: &Rules,
    told: &ExpireOrder,
    at: Micros,
) -> Result<Decision, Broken> {
    match check(users.orders.find(told.order_id)?, at) {
        Some(order) => {
            let why = Outcome::of(Code::Expired);
            end::fail(users, rules, (told.order_id, order), &order.lines, why)
        }
        None => Ok(Decision::nothing(Verdict::Ignored, Code::Ok)),
    }
}
