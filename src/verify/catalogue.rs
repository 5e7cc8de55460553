//! Who and what is known, in the own model: users, and products with price and first units. Each is
//! registered once, as its command says.

use super::{
    accounts::{Accounts, Flow, Moved},
    due::{Done, Due},
    findings::{Desk, Invariant},
    inputs::{Body, Input},
    orders::Orders,
};
use jupan_schemas::{
    Change, ChangeProduct, Code, Entry, Lane, Money, Outcome, PRICE_AND_STOCK_MAX, ProductChanged,
    ProductCommand, ProductId, ProductPayload, ProductRegistered, RegisterProduct, Restock, UserId,
    UserPayload, UserRegistered, partition_of,
};

const RULE: Invariant = Invariant::Inputs;

/// Something is registered, or changed in the catalogue.
fn registration() -> Done {
    Done { registers: true, ..Done::told(Outcome::of(Code::Ok)) }
}

fn is_price(price: Money) -> bool {
    (0..=PRICE_AND_STOCK_MAX).contains(&price.0)
}

/// An entry registers as much as its input must.
pub(super) fn check(entry: &Entry, deed: Option<&Done>, desk: &mut Desk<'_>) {
    let is_registration = |change: &&Change| {
        matches!(
            change,
            Change::UserRegistered(_) | Change::ProductRegistered(_) | Change::ProductChanged(_)
        )
    };
    let found = entry.changes.iter().filter(is_registration).count();
    let expected = usize::from(deed.is_some_and(|deed| deed.registers));
    desk.same(RULE, "what the entry registers", expected, found);
}

impl Orders {
    /// RegisterUser.
    pub(super) fn due_register(&self, user: UserId) -> Due {
        Due::done(RULE, "a RegisterUser", registration())
            .unless(self.users.contains(&user), Outcome::of(Code::AlreadyExists))
            .perhaps(true, Outcome::of(Code::InvalidName))
            .perhaps(true, Outcome::of(Code::InvalidEmail))
    }

    /// The commands about products.
    pub(super) fn due_product(&self, command: &ProductCommand, accounts: &Accounts) -> Due {
        let id = command.product_id;
        let is_known = self.prices.contains_key(&id);
        match &command.payload {
            ProductPayload::RegisterProduct(wish) => {
                due_registered(wish).unless(is_known, Outcome::of(Code::AlreadyExists))
            }
            ProductPayload::ChangeProduct(wish) => {
                due_changed(wish).unless(!is_known, Outcome::of(Code::ProductNotFound))
            }
            ProductPayload::Restock(wish) => due_restocked(id, wish, is_known, accounts),
        }
    }

    pub(super) fn user_registered(
        &mut self,
        lane: Lane,
        registered: &UserRegistered,
        input: Option<&Input>,
        desk: &mut Desk<'_>,
    ) {
        let id = registered.user_id;
        let is_home = partition_of(id.0, self.lanes) == lane.index;
        let is_wished = matches!(input.map(|input| &input.body), Some(Body::User(command))
            if command.user_id == id && matches!(&command.payload,
                UserPayload::RegisterUser(wish)
                    if wish.name == registered.name && wish.email == registered.email));
        let holds = self.users.insert(id) && is_home && is_wished;
        let about = format_args!("user {id}");
        desk.rule(RULE, about, holds, "new, as the command says", "not so");
    }

    pub(super) fn product_registered(
        &mut self,
        lane: Lane,
        registered: &ProductRegistered,
        input: Option<&Input>,
        desk: &mut Desk<'_>,
    ) {
        let id = registered.product_id;
        let is_home = partition_of(id.0, self.lanes) == lane.index;
        let is_wished = matches!(input.map(|input| &input.body), Some(Body::Product(command))
            if command.product_id == id && matches!(&command.payload,
                ProductPayload::RegisterProduct(wish)
                    if wish.name == registered.name && wish.price == registered.price));
        let is_new = self.prices.insert(id, registered.price).is_none();
        let holds = is_home && is_wished && is_new;
        let about = format_args!("product {id}");
        desk.rule(RULE, about, holds, "new, as its command says", "not so");
    }

    pub(super) fn product_changed(
        &mut self,
        changed: &ProductChanged,
        input: Option<&Input>,
        desk: &mut Desk<'_>,
    ) {
        let id = changed.product_id;
        let is_wished = matches!(input.map(|input| &input.body), Some(Body::Product(command))
            if command.product_id == id && matches!(&command.payload,
                ProductPayload::ChangeProduct(wish)
                    if changed.name == wish.name && changed.price == wish.price));
        let known = self.prices.get_mut(&id);
        let about = format_args!("change of product {id}");
        let holds = is_wished && known.is_some();
        desk.rule(RULE, about, holds, "known, as its command says", "not so");
        if let (Some(price), Some(known)) = (changed.price, known) {
            *known = price;
        }
    }

    /// The units that an accepted command brings.
    pub(super) fn asked_of_product(&mut self, command: &ProductCommand) {
        let units = match &command.payload {
            ProductPayload::RegisterProduct(wish) => wish.stock,
            ProductPayload::Restock(wish) => wish.quantity,
            ProductPayload::ChangeProduct(_) => return,
        };
        let owner = command.product_id.0;
        self.expected.push(Moved { flow: Flow::Restock, owner, amount: units.0 });
    }
}

fn due_registered(wish: &RegisterProduct) -> Due {
    let is_countable = (0..=PRICE_AND_STOCK_MAX).contains(&wish.stock.0);
    Due::done(RULE, "a RegisterProduct", registration())
        .unless(!is_price(wish.price), Outcome::of(Code::InvalidPrice))
        .unless(!is_countable, Outcome::of(Code::InvalidQuantity))
        .perhaps(true, Outcome::of(Code::InvalidName))
}

fn due_changed(wish: &ChangeProduct) -> Due {
    let is_nothing = wish.name.is_none() && wish.price.is_none();
    let is_odd = wish.price.is_some_and(|price| !is_price(price));
    Due::done(RULE, "a ChangeProduct", registration())
        .unless(is_nothing, Outcome::of(Code::Malformed))
        .unless(is_odd, Outcome::of(Code::InvalidPrice))
        .perhaps(wish.name.is_some(), Outcome::of(Code::InvalidName))
}

fn due_restocked(id: ProductId, wish: &Restock, is_known: bool, accounts: &Accounts) -> Due {
    let stock = accounts.stock(id.0);
    let units = i128::from(wish.quantity.0);
    let inside = i128::from(stock.available) + i128::from(stock.reserved) + units;
    let supply = i128::from(stock.supply) - units;
    let is_full = inside > i128::from(PRICE_AND_STOCK_MAX) || i64::try_from(supply).is_err();
    Due::done(Invariant::Stock, "a Restock", Done::told(Outcome::of(Code::Ok)))
        .unless(wish.quantity.0 < 1, Outcome::of(Code::InvalidQuantity))
        .unless(!is_known, Outcome::of(Code::ProductNotFound))
        .unless(is_known && is_full, Outcome::of(Code::StockLimit))
}
