//! What a user lane's inputs had to lead to: users, wallets and carts. Orders are in `orders.rs`.

use super::{
    Now, Shop,
    expected::Expected,
    keys::{Command, Keys, plain},
    orders::Order,
};
use jupan_schemas::{
    Account, AddToCart, CartChanged, Change, Code, Line, Money, OrderEvent, OrderId, Outcome,
    ProductId, RegisterUser, RemoveFromCart, Units, UserId, UserPayload, UserRegistered,
    rows::{StatementKind, StatementRow, UserRow},
};
use std::collections::BTreeMap;

/// A user lane as it must be.
pub(crate) struct Users {
    pub(crate) shop: Shop,
    pub(crate) lane: u16,
    pub(crate) users: BTreeMap<UserId, UserRow>,
    pub(crate) orders: BTreeMap<OrderId, Order>,
    pub(crate) keys: Keys<UserPayload>,
    pub(crate) statements: BTreeMap<UserId, Vec<StatementRow>>,
    pub(crate) events: Vec<OrderEvent>,
}

/// A user's command.
pub(crate) type Wish = Command<UserPayload>;

impl Users {
    pub(crate) fn new(shop: Shop, lane: u16) -> Self {
        Self {
            shop,
            lane,
            users: BTreeMap::new(),
            orders: BTreeMap::new(),
            keys: Keys::new(lane),
            statements: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    pub(crate) fn command(&mut self, now: &Now, wish: &Wish) -> Result<Expected, String> {
        if let Some(expected) = Keys::form(wish, now.at) {
            return Ok(expected);
        }
        let user_id = UserId(wish.id);
        let order_id = OrderId::of(user_id, &wish.key);
        if self.orders.contains_key(&order_id) {
            return Ok(self.place_again(now, order_id, wish));
        }
        if let Some(expected) = self.keys.known(wish, now.at) {
            return Ok(expected);
        }
        match &wish.payload {
            UserPayload::RegisterUser(body) => Ok(self.register(now, user_id, wish, body)),
            UserPayload::ChargeBalance(body) => Ok(self.charge(now, user_id, wish, body.amount.0)),
            UserPayload::AddToCart(AddToCart { product_id, quantity }) => {
                let more = Line { product_id: *product_id, quantity: *quantity };
                Ok(self.add_to_cart(now, user_id, wish, more))
            }
            UserPayload::RemoveFromCart(body) => Ok(self.take_from_cart(now, user_id, wish, body)),
            UserPayload::PlaceOrder(body) => Ok(self.place(now, (user_id, order_id), wish, body)),
            UserPayload::PayOrder(body) => self.pay(now, wish, body.order_id),
            UserPayload::CancelOrder(body) => self.cancel(now, wish, body.order_id),
            UserPayload::RefundOrder(body) => self.refund(now, wish, body),
        }
    }

    fn register(&mut self, now: &Now, id: UserId, wish: &Wish, body: &RegisterUser) -> Expected {
        let name_chars = body.name.chars().count();
        let email_chars = body.email.chars().count();
        let parts: Vec<&str> = body.email.split('@').collect();
        let is_address = parts.len() == 2 && parts.iter().all(|part| !part.is_empty());
        let refused = match () {
            () if name_chars == 0 || name_chars > 100 => Code::InvalidName,
            () if !is_address || !(3..=254).contains(&email_chars) => Code::InvalidEmail,
            () if self.users.contains_key(&id) => Code::AlreadyExists,
            () => Code::Ok,
        };
        if refused != Code::Ok {
            return self.keys.refuse(wish, now, plain(refused));
        }
        let row = UserRow {
            user_id: id,
            lane: self.lane,
            as_of: now.as_of,
            name: body.name.as_str().into(),
            email: body.email.as_str().into(),
            balance: Money(0),
            created_at: now.at,
            updated_at: now.at,
            cart: Vec::new(),
        };
        self.users.insert(id, row);
        let (name, email) = (body.name.clone(), body.email.clone());
        let change = Change::UserRegistered(UserRegistered { user_id: id, name, email });
        self.keys.accept(wish, now, plain(Code::Ok), vec![change])
    }

    fn charge(&mut self, now: &Now, id: UserId, wish: &Wish, amount: i64) -> Expected {
        if amount < self.shop.charge_min || amount > self.shop.charge_max || amount <= 0 {
            return self.keys.refuse(wish, now, plain(Code::InvalidAmount));
        }
        let Some(user) = self.users.get(&id) else {
            return self.keys.refuse(wish, now, plain(Code::UserNotFound));
        };
        if i128::from(user.balance.0) + i128::from(amount) > 1_000_000_000_000_000 {
            return self.keys.refuse(wish, now, plain(Code::BalanceLimit));
        }
        let mut expected = Expected::accepted();
        let balance = self.move_money(now, id, amount, None, &mut expected);
        let outcome = Outcome { balance: Some(balance), ..plain(Code::Ok) };
        self.keys.conclude(wish, now, outcome, expected)
    }

    /// Money into a wallet, or out of it where the amount is negative; the balance then.
    pub(crate) fn move_money(
        &mut self,
        now: &Now,
        id: UserId,
        amount: i64,
        order_id: Option<OrderId>,
        expected: &mut Expected,
    ) -> Money {
        let other = if order_id.is_some() { Account::Revenue } else { Account::Funding };
        let (other, wallet) = ((other, u64::from(self.lane)), (Account::Wallet, id.0));
        expected.transfer(amount, other, wallet);
        let Some(user) = self.users.get_mut(&id).filter(|_| amount != 0) else {
            return self.users.get(&id).map_or(Money(0), |user| user.balance);
        };
        user.balance = Money(user.balance.0 + amount);
        (user.updated_at, user.as_of) = (now.at, now.as_of);
        let kind = match order_id {
            None => StatementKind::Charge,
            Some(_) if amount < 0 => StatementKind::Payment,
            Some(_) => StatementKind::Refund,
        };
        let line = StatementRow {
            user_id: id,
            lane: self.lane,
            as_of: now.as_of,
            kind,
            delta: Money(amount),
            balance: user.balance,
            order_id,
            at: now.at,
        };
        self.statements.entry(id).or_default().push(line);
        user.balance
    }

    fn add_to_cart(&mut self, now: &Now, id: UserId, wish: &Wish, more: Line) -> Expected {
        let max = self.shop.line_units_max;
        let quantity_fault =
            Outcome { product_id: Some(more.product_id), ..plain(Code::InvalidQuantity) };
        if more.product_id.0 >= 1 << 53 {
            return self.keys.refuse(wish, now, plain(Code::InvalidId));
        }
        if more.quantity.0 < 1 || more.quantity.0 > max {
            return self.keys.refuse(wish, now, quantity_fault);
        }
        let Some(user) = self.users.get(&id) else {
            return self.keys.refuse(wish, now, plain(Code::UserNotFound));
        };
        let mut cart = user.cart.clone();
        let lines_max = self.shop.order_lines_max;
        if cart.len() > lines_max || cart.iter().any(|line| line.quantity.0 > max) {
            return self.keys.refuse(wish, now, plain(Code::CartFull));
        }
        let lines = cart.len();
        match cart.iter_mut().find(|line| line.product_id == more.product_id) {
            Some(line) if line.quantity.0 + more.quantity.0 > max => {
                return self.keys.refuse(wish, now, quantity_fault);
            }
            Some(line) => line.quantity.0 += more.quantity.0,
            None if lines >= lines_max => {
                return self.keys.refuse(wish, now, plain(Code::CartFull));
            }
            None => cart.push(more),
        }
        let change = self.set_cart(now, id, cart);
        self.keys.accept(wish, now, plain(Code::Ok), vec![change])
    }

    fn take_from_cart(
        &mut self,
        now: &Now,
        id: UserId,
        wish: &Wish,
        body: &RemoveFromCart,
    ) -> Expected {
        if body.product_id.0 >= 1 << 53 {
            return self.keys.refuse(wish, now, plain(Code::InvalidId));
        }
        if body.quantity.is_some_and(|quantity| quantity.0 < 1) {
            let product_id = Some(body.product_id);
            let outcome = Outcome { product_id, ..plain(Code::InvalidQuantity) };
            return self.keys.refuse(wish, now, outcome);
        }
        let Some(user) = self.users.get(&id) else {
            return self.keys.refuse(wish, now, plain(Code::UserNotFound));
        };
        let mut cart = user.cart.clone();
        let before = cart.clone();
        let taken = body.quantity.map_or(i64::MAX, |quantity| quantity.0);
        cart.retain_mut(|line| {
            if line.product_id != body.product_id {
                return true;
            }
            line.quantity.0 = line.quantity.0.saturating_sub(taken);
            line.quantity.0 > 0
        });
        let changes = if cart == before { Vec::new() } else { vec![self.set_cart(now, id, cart)] };
        self.keys.accept(wish, now, plain(Code::Ok), changes)
    }

    pub(crate) fn set_cart(&mut self, now: &Now, user_id: UserId, lines: Vec<Line>) -> Change {
        if let Some(user) = self.users.get_mut(&user_id) {
            user.cart.clone_from(&lines);
            (user.updated_at, user.as_of) = (now.at, now.as_of);
        }
        Change::CartChanged(CartChanged { user_id, lines })
    }

    /// The lines of a failed order are in the cart again, beside what was put in since.
    pub(crate) fn put_back(
        &mut self,
        now: &Now,
        user_id: UserId,
        lines: &[(ProductId, i64)],
    ) -> Change {
        let mut cart = self.users.get(&user_id).map(|user| user.cart.clone()).unwrap_or_default();
        for (product_id, units) in lines {
            let lines = cart.len();
            match cart.iter_mut().find(|line| line.product_id == *product_id) {
                Some(line) => line.quantity.0 = line.quantity.0.saturating_add(*units),
                None if lines >= 4_000 => {}
                None => cart.push(Line { product_id: *product_id, quantity: Units(*units) }),
            }
        }
        self.set_cart(now, user_id, cart)
    }
}
