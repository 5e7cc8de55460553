//! Settle: the order is paid, `reserved -> sold`. Each line is a sale.

use super::{Products, end, state::Hold};
use crate::{Broken, Decision};
use jupan_schemas::{Account, HoldEnd, HoldEnded, Settle};

fn check<'a>(hold: Option<&'a Hold>, told: &Settle) -> Result<&'a Hold, Broken> {
    // Money has moved for it: a lane that holds nothing then has lost what was promised.
    hold.ok_or_else(|| Broken::about("order", told.order_id, "settled, but nothing is held for it"))
}

pub(super) fn decide(
    products: &Products,
    user_lane: u16,
    told: &Settle,
) -> Result<Decision, Broken> {
    let hold = check(end::open_hold(products, told.order_id, user_lane)?, told)?;
    let ended =
        HoldEnded { order_id: told.order_id, end: HoldEnd::Settled, sold_at: Some(told.sold_at) };
    end::decide(products, hold, ended, Account::Sold)
}
