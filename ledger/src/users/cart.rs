//! The cart: AddToCart and RemoveFromCart, and its lines' way into an order and back.
//!
//! A cart is one value: a change of it is the whole cart after the entry. It knows no prices and no
//! catalogue; what its lines cost, and whether there is such a product, an order finds out.

use super::{
    Users,
    state::{Order, User},
};
use crate::{Broken, Rules, cells::Moment, idempotency::Ruling, limits};
use hashbrown::HashMap;
use jupan_schemas::{
    AddToCart, CartChanged, Change, Code, Line, OrderId, Outcome, ProductId, RemoveFromCart, Units,
    UserId,
    planted::{Bug, is_planted},
    rows::OrderLine,
};

/// Whether a cart has grown beyond what may be put in: failed orders put their lines back whatever
/// is there by then.
fn is_over(rules: &Rules, cart: &[Line]) -> bool {
    cart.len() > rules.order_lines_max
        || cart.iter().any(|line| line.quantity.0 > rules.line_units_max)
}

/// The cart with some more units in it.
fn check_more(rules: &Rules, user: Option<&User>, wish: &AddToCart) -> Result<Vec<Line>, Code> {
    let countable = 1..=rules.line_units_max;
    if !wish.product_id.is_valid() {
        return Err(Code::InvalidId);
    }
    if !countable.contains(&wish.quantity.0) {
        return Err(Code::InvalidQuantity);
    }
    let user = user.ok_or(Code::UserNotFound)?;
    if is_over(rules, &user.cart) {
        return Err(Code::CartFull);
    }
    let mut lines = user.cart.clone();
    match lines.iter().position(|line| line.product_id == wish.product_id) {
        Some(place) => {
            let sum = lines[place].quantity.checked_add(wish.quantity);
            let sum = sum.filter(|sum| countable.contains(&sum.0));
            lines[place].quantity = sum.ok_or(Code::InvalidQuantity)?;
        }
        None if lines.len() >= rules.order_lines_max => return Err(Code::CartFull),
        None => lines.push(Line { product_id: wish.product_id, quantity: wish.quantity }),
    }
    Ok(lines)
}

/// The cart with some units less, or `None` where it has none of the product.
fn check_less(user: Option<&User>, wish: &RemoveFromCart) -> Result<Option<Vec<Line>>, Code> {
    if !wish.product_id.is_valid() {
        return Err(Code::InvalidId);
    }
    if wish.quantity.is_some_and(|quantity| quantity <= Units::ZERO) {
        return Err(Code::InvalidQuantity);
    }
    let cart = &user.ok_or(Code::UserNotFound)?.cart;
    let place = cart.iter().position(|line| line.product_id == wish.product_id);
    let Some(place) = place else { return Ok(None) };
    let mut lines = cart.clone();
    match wish.quantity.and_then(|quantity| lines[place].quantity.checked_sub(quantity)) {
        Some(left) if left > Units::ZERO => lines[place].quantity = left,
        _ => drop(lines.remove(place)),
    }
    Ok(Some(lines))
}

pub(super) fn decide_add(
    rules: &Rules,
    user_id: UserId,
    user: Option<&User>,
    wish: &AddToCart,
) -> Ruling {
    match check_more(rules, user, wish) {
        Ok(lines) => done(Some(changed(user_id, lines))),
        Err(code) => refused(code, wish.product_id),
    }
}

pub(super) fn decide_remove(user_id: UserId, user: Option<&User>, wish: &RemoveFromCart) -> Ruling {
    match check_less(user, wish) {
        // To take out what is not there is done already.
        Ok(lines) => done(lines.map(|lines| changed(user_id, lines))),
        Err(code) => refused(code, wish.product_id),
    }
}

fn done(change: Option<Change>) -> Ruling {
    let changes = change.into_iter().collect();
    Ruling::Done { outcome: Outcome::of(Code::Ok), changes, postings: Vec::new() }
}

fn refused(code: Code, product_id: ProductId) -> Ruling {
    let product_id = (code == Code::InvalidQuantity).then_some(product_id);
    Ruling::Refused(Outcome { product_id, ..Outcome::of(code) })
}

fn changed(user_id: UserId, lines: Vec<Line>) -> Change {
    Change::CartChanged(CartChanged { user_id, lines })
}

/// The cart goes into an order.
pub(super) fn emptied(user_id: UserId) -> Change {
    changed(user_id, Vec::new())
}

/// The lines of a failed order are back in the cart they came from, beside what was put in since.
pub(super) fn put_back(
    users: &Users,
    id: OrderId,
    order: &Order,
) -> Result<Option<Change>, Broken> {
    if !order.from_cart {
        return Ok(None);
    }
    let user = users.owner_of(id, order)?;
    Ok(Some(changed(order.user_id, merged(&user.cart, &order.lines))))
}

/// Both, the same product once. What is beyond all bounds is left out: the cart is one record.
fn merged(cart: &[Line], returned: &[OrderLine]) -> Vec<Line> {
    let mut lines = cart.to_vec();
    let mut places: HashMap<ProductId, usize> =
        lines.iter().enumerate().map(|(place, line)| (line.product_id, place)).collect();
    for OrderLine { product_id, quantity, .. } in returned {
        let (product_id, quantity) = (*product_id, *quantity);
        match places.get(&product_id) {
            Some(place) => {
                let sum = lines[*place].quantity.checked_add(quantity);
                lines[*place].quantity = sum.unwrap_or(Units(i64::MAX));
            }
            None if lines.len() >= limits::CART_LINES_MAX => {}
            None => {
                places.insert(product_id, lines.len());
                lines.push(Line { product_id, quantity });
            }
        }
    }
    lines
}

pub(super) fn evolve(users: &mut Users, now: &Moment, changed: &CartChanged) -> Result<(), Broken> {
    let Some(user) = users.users.change(changed.user_id, now)? else { return Ok(()) };
    if changed.lines.iter().any(|line| line.quantity <= Units::ZERO) {
        return Err(Broken::about("cart of user", changed.user_id, "a line without units"));
    }
    if !is_planted(Bug::CartBoughtTwice) || !changed.lines.is_empty() {
        user.cart.clone_from(&changed.lines);
    }
    user.updated_at = now.at;
    Ok(())
}
