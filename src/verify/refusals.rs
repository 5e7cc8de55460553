//! A refusal is a decision like any other: where an order fails for want of money or units, they
//! must have been missing when it was decided.

use super::{
    accounts::Accounts,
    findings::{Desk, Invariant},
    inputs::{Body, Input},
    orders::Orders,
};
use jupan_schemas::{Change, Code, Entry, Message, Refused, ToProducts};

const RULE: Invariant = Invariant::Orders;

/// Checks the reasons that an entry gives.
pub(super) fn check(
    entry: &Entry,
    input: Option<&Input>,
    accounts: &Accounts,
    orders: &Orders,
    desk: &mut Desk<'_>,
) {
    for change in &entry.changes {
        let Change::OrderEnded(ended) = change else { continue };
        let Some(order) = orders.orders.find(ended.order_id) else { continue };
        if ended.code == Code::InsufficientBalance {
            let wallet = accounts.wallet(order.user.0);
            let about = format_args!("wallet that refused order {}", ended.order_id);
            let holds = wallet < ended.total_price.0;
            desk.rule(RULE, about, holds, "less than the order costs", wallet);
        }
    }
    for sent in &entry.messages {
        if let Message::Refused(refused) = &sent.payload {
            refusal(refused, input, accounts, orders, desk);
        }
    }
}

fn refusal(
    refused: &Refused,
    input: Option<&Input>,
    accounts: &Accounts,
    orders: &Orders,
    desk: &mut Desk<'_>,
) {
    let product = refused.product_id;
    let about = format_args!("product {product} that refused order {}", refused.order_id);
    let wish = match input.map(|input| &input.body) {
        Some(Body::ToProducts(message)) => match &message.payload {
            ToProducts::Reserve(wish) if wish.order_id == refused.order_id => Some(wish),
            _ => None,
        },
        _ => None,
    };
    let line = wish.and_then(|wish| wish.lines.iter().find(|line| line.product_id == product));
    let Some(line) = line else {
        desk.fault(RULE, about, "a line of the Reserve", "none");
        return;
    };
    match refused.code {
        Code::OutOfStock => {
            let available = accounts.stock(product.0).available;
            let holds = available < line.quantity.0;
            desk.rule(RULE, about, holds, "fewer available units than asked for", available);
        }
        Code::ProductNotFound => {
            let is_known = orders.prices.contains_key(&product);
            desk.rule(RULE, about, !is_known, "one that nobody registered", "a registered one");
        }
        other => desk.fault(RULE, about, "OUT_OF_STOCK or PRODUCT_NOT_FOUND", other),
    }
}
