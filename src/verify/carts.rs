//! Invariant 11: an own model of every cart. A cart is what was put in, less what was taken out and
//! what went into orders, with what failed orders brought back; nothing else changes one.

use super::{
    due::{Done, Due},
    findings::{Desk, Invariant},
    order::Order,
    orders::Orders,
};
use hashbrown::HashMap;
use jupan_schemas::{
    AddToCart, Change, Code, Entry, Lane, Line, Outcome, ProductId, RemoveFromCart, Units, UserId,
};

const RULE: Invariant = Invariant::Carts;

/// A cart has no more lines than this, whatever failed orders bring back.
const LINES_MAX: usize = 4_000;

/// Every user's cart.
#[derive(Default)]
pub(super) struct Carts {
    /// Those with something in them.
    filled: HashMap<UserId, Vec<Line>>,
    /// What the entry at hand must make of one.
    due: Option<(UserId, Vec<Line>)>,
}

impl Carts {
    /// What is in a user's cart.
    pub(super) fn of(&self, user: UserId) -> &[Line] {
        self.filled.get(&user).map_or(&[], Vec::as_slice)
    }

    /// How many have something in them.
    pub(super) fn filled(&self) -> usize {
        self.filled.len()
    }

    /// The entry at hand must leave this in a cart, or change none.
    pub(super) fn expect(&mut self, due: Option<(UserId, Vec<Line>)>) {
        self.due = due;
    }

    /// The entry at hand must bring a failed order's lines back.
    pub(super) fn expect_back(&mut self, order: &Order) {
        if order.is_from_cart {
            self.due = Some((order.user, with(self.of(order.user), order)));
        }
    }

    /// Compares the carts that an entry changes, and goes on from what it says.
    pub(super) fn settle(&mut self, entry: &Entry, desk: &mut Desk<'_>) {
        let mut due = self.due.take();
        for change in &entry.changes {
            let Change::CartChanged(changed) = change else { continue };
            let user = changed.user_id;
            let about = format_args!("cart of user {user}");
            let found = changed.lines.clone();
            match due.take_if(|(expected, _)| *expected == user) {
                Some((_, lines)) => drop(desk.same(RULE, about, lines, found)),
                None => desk.fault(RULE, about, "as it was", format_args!("{found:?}")),
            }
            if changed.lines.is_empty() {
                self.filled.remove(&user);
            } else {
                self.filled.insert(user, changed.lines.clone());
            }
        }
        if let Some((user, lines)) = due {
            desk.fault(
                RULE,
                format_args!("cart of user {user}"),
                format_args!("{lines:?}"),
                "as it was",
            );
        }
    }
}

/// A cart with an order's lines back in it, behind what is there.
fn with(cart: &[Line], order: &Order) -> Vec<Line> {
    let mut back: HashMap<ProductId, Units> =
        order.lines.iter().map(|line| (line.product, line.units)).collect();
    let mut lines: Vec<Line> = cart.to_vec();
    for line in &mut lines {
        let more = back.remove(&line.product_id).unwrap_or(Units::ZERO);
        line.quantity = Units(line.quantity.0.saturating_add(more.0));
    }
    let room = LINES_MAX.saturating_sub(lines.len());
    let others = order.lines.iter().filter(|line| back.contains_key(&line.product));
    lines.extend(
        others.take(room).map(|line| Line { product_id: line.product, quantity: line.units }),
    );
    lines
}

impl Orders {
    /// AddToCart.
    pub(super) fn due_add(&self, lane: Lane, user: UserId, wish: &AddToCart) -> Due {
        let before = self.carts.of(user);
        let mut lines = before.to_vec();
        let own = lines.iter_mut().find(|line| line.product_id == wish.product_id);
        let sum = own.as_ref().map_or(0, |line| line.quantity.0).saturating_add(wish.quantity.0);
        let quantity = Units(sum);
        match own {
            Some(line) => line.quantity = quantity,
            None => lines.push(Line { product_id: wish.product_id, quantity }),
        }
        let limits = self.limits(lane);
        let is_full = lines.len() > limits.lines || !limits.allow_units_of(before);
        Due::done(RULE, "an AddToCart", left(user, Some(lines)))
            .unless(!wish.product_id.is_valid(), Outcome::of(Code::InvalidId))
            .unless(wish.quantity <= Units::ZERO, invalid(wish.product_id))
            .unless(!self.users.contains(&user), Outcome::of(Code::UserNotFound))
            .perhaps(!limits.allow_units(quantity), invalid(wish.product_id))
            .perhaps(is_full, Outcome::of(Code::CartFull))
    }

    /// RemoveFromCart. To take out what is not there is done already.
    pub(super) fn due_remove(&self, user: UserId, wish: &RemoveFromCart) -> Due {
        let taken = wish.quantity.unwrap_or(Units(i64::MAX));
        let mut lines = self.carts.of(user).to_vec();
        let own = lines.iter_mut().find(|line| line.product_id == wish.product_id);
        let is_there = own.is_some();
        if let Some(line) = own {
            line.quantity = Units(line.quantity.0.saturating_sub(taken.0));
        }
        lines.retain(|line| line.quantity > Units::ZERO);
        Due::done(RULE, "a RemoveFromCart", left(user, is_there.then_some(lines)))
            .unless(!wish.product_id.is_valid(), Outcome::of(Code::InvalidId))
            .unless(taken <= Units::ZERO, invalid(wish.product_id))
            .unless(!self.users.contains(&user), Outcome::of(Code::UserNotFound))
    }
}

/// The wish is done, and leaves this in the cart.
fn left(user: UserId, lines: Option<Vec<Line>>) -> Done {
    let cart = lines.map(|lines| (user, lines));
    Done { cart, ..Done::told(Outcome::of(Code::Ok)) }
}

/// The quantity of this product is none that may be asked for.
pub(super) fn invalid(product_id: ProductId) -> Outcome {
    Outcome { product_id: Some(product_id), ..Outcome::of(Code::InvalidQuantity) }
}
