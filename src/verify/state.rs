//! State = fold(journal), seen from outside: every row of the fold says the same as the accounts
//! that were added up from postings, and as the own model of orders.

use super::{
    accounts::Accounts,
    findings::{Desk, Findings, Invariant, Place},
    order::Hold,
    orders::Orders,
    outcomes::Outcomes,
};
use jupan_schemas::{
    Code, Lane,
    rows::{HoldRow, OrderLine, OrderRow, ProductRow, Row},
};

const RULE: Invariant = Invariant::Journal;

/// What is known without the fold.
pub(super) struct Model<'a> {
    pub(super) accounts: &'a Accounts,
    pub(super) orders: &'a Orders,
    pub(super) outcomes: &'a Outcomes,
}

/// How many rows of each kind a fold has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) users: usize,
    pub(super) products: usize,
    pub(super) orders: usize,
}

impl Model<'_> {
    /// Compares a row of a lane, and counts it.
    pub(super) fn compare(
        &self,
        lane: Lane,
        row: &Row,
        count: &mut Count,
        findings: &mut Findings,
    ) {
        let place = Place { lane: Some(lane), ..Place::default() };
        let mut desk = Desk { findings, place };
        match row {
            Row::User(user) => {
                count.users += 1;
                let own = self.accounts.wallet(user.user_id.0);
                let about = format_args!("folded balance of user {}", user.user_id);
                desk.same(RULE, about, own, user.balance.0);
                let own = self.orders.carts.of(user.user_id);
                let about = format_args!("folded cart of user {}", user.user_id);
                desk.same(RULE, about, own, user.cart.as_slice());
            }
            Row::Product(product) => {
                count.products += 1;
                self.product(product, &mut desk);
            }
            Row::Order(order) => {
                count.orders += 1;
                self.order(order, &mut desk);
            }
            Row::Hold(hold) => self.hold(hold, &mut desk),
            Row::Outcome(row) => {
                let own = self.outcomes.stored(row.command_id);
                let own = own.map(|stored| stored.outcome);
                let about = format_args!("folded outcome of command {}", row.command_id);
                desk.same(RULE, about, own, Some(row.outcome));
            }
            Row::Statement(_) => {}
        }
    }

    fn product(&self, row: &ProductRow, desk: &mut Desk<'_>) {
        let own = self.accounts.stock(row.product_id.0);
        let about = format_args!("folded stock of product {}", row.product_id);
        let supply = own.supply.saturating_neg();
        let own = [supply, own.available, own.reserved, own.sold];
        let found = [row.supply, row.available, row.reserved, row.sold].map(|units| units.0);
        desk.same(RULE, about, own, found);
        let price = self.orders.prices.get(&row.product_id).copied();
        desk.same(RULE, format_args!("{about}: price"), price, Some(row.price));
    }

    fn order(&self, row: &OrderRow, desk: &mut Desk<'_>) {
        let about = format_args!("folded order {}", row.order_id);
        let Some(own) = self.orders.orders.find(row.order_id) else {
            desk.fault(RULE, about, "an order that was placed", "none was");
            return;
        };
        let reason = (own.reason != Code::Ok).then_some(own.reason);
        let status = (own.status, reason, own.reason_product);
        desk.same(RULE, about, status, (row.status, row.reason, row.reason_product));
        let money = (own.total, own.payment_due, own.sold_at);
        desk.same(RULE, about, money, (row.total, row.payment_due, row.sold_at));
        let wish = (own.user, own.is_from_cart, own.payment, own.deadline, own.occurred_at);
        let found = (row.user_id, row.from_cart, row.payment, row.deadline, row.occurred_at);
        desk.same(RULE, about, wish, found);
        let first = (own.fingerprint, own.outcome, own.placed_at);
        desk.same(RULE, about, first, (row.fingerprint, row.outcome, row.created_at));
        desk.same(RULE, about, (own.awaits(), &own.askers), (row.awaits.clone(), &row.askers));
        desk.same(RULE, about, own.history(), row.history.clone());
        let lines = own.lines.iter().map(|line| OrderLine {
            product_id: line.product,
            quantity: line.units,
            price: line.price,
            refunded: line.refunded,
        });
        desk.same(RULE, about, lines.collect(), row.lines.clone());
    }

    fn hold(&self, row: &HoldRow, desk: &mut Desk<'_>) {
        let (own, found) = both_holds(self.orders, row);
        desk.same(RULE, format_args!("folded hold of order {}", row.order_id), own, Some(found));
    }
}

/// Whether a hold's row says what the model knows of it.
pub(super) fn fits_hold(orders: &Orders, row: &HoldRow) -> bool {
    let (own, found) = both_holds(orders, row);
    own == Some(found)
}

fn both_holds(orders: &Orders, row: &HoldRow) -> (Option<Hold>, Hold) {
    let own = orders.orders.find(row.order_id).and_then(|order| order.hold(row.lane));
    (own, row.end.map_or(Hold::Open, Hold::Ended))
}
