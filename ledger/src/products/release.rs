//! Release: the order failed, `reserved -> available`.

use super::{Products, end};
use crate::{Broken, Decision};
use jupan_schemas::{Account, Code, HoldEnd, HoldEnded, Release, Verdict};

pub(super) fn decide(
    products: &Products,
    user_lane: u16,
    told: &Release,
) -> Result<Decision, Broken> {
    let order_id = told.order_id;
    match end::open_hold(products, order_id, user_lane)? {
        Some(hold) => {
            let ended = HoldEnded { order_id, end: HoldEnd::Released, sold_at: None };
            end::decide(products, hold, ended, Account::Available)
        }
        // This lane refused, or has released it before: a failed order releases everywhere.
        None => Ok(Decision::nothing(Verdict::Ignored, Code::Ok)),
    }
}
