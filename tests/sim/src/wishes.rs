//! What can be wished, with usual values and edges.

use crate::{mix::Mix, workload::Workload};
use jupan_schemas::{
    AddToCart, CancelOrder, ChangeProduct, ChargeBalance, ID_LIMIT, KEY_CHARS_MAX, Line, Money,
    OrderId, PayOrder, Payment, PlaceOrder, ProductId, ProductPayload, RefundOrder,
    RegisterProduct, RegisterUser, RemoveFromCart, Restock, Units, UserId, UserPayload,
};

/// Orders that a wish about an order looks back at.
const ORDERS_FROM: usize = 12;

/// Kinds of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    RegisterUser,
    Charge,
    AddToCart,
    RemoveFromCart,
    Place,
    PlaceFromCart,
    Pay,
    Cancel,
    RefundAll,
    RefundLines,
    RegisterProduct,
    ChangeProduct,
    Restock,
    Garbage,
    Misplaced,
}

impl Wish {
    pub(crate) const ALL: [Self; 15] = [
        Self::RegisterUser,
        Self::Charge,
        Self::AddToCart,
        Self::RemoveFromCart,
        Self::Place,
        Self::PlaceFromCart,
        Self::Pay,
        Self::Cancel,
        Self::RefundAll,
        Self::RefundLines,
        Self::RegisterProduct,
        Self::ChangeProduct,
        Self::Restock,
        Self::Garbage,
        Self::Misplaced,
    ];
    /// How often each is drawn where it is not left out.
    pub(crate) const USUAL: [u32; 15] = [3, 12, 10, 4, 40, 8, 14, 8, 5, 8, 4, 4, 8, 2, 2];
}

impl Workload {
    /// Mostly a known one, now and then one that nobody has, or that nobody can have.
    pub(crate) fn id(&mut self, mix: &Mix, known: u64) -> u64 {
        if self.random.percent(mix.edge_percent) {
            return self.random.one_of([0, known + 1, ID_LIMIT - 1, ID_LIMIT]);
        }
        1 + self.random.below(known)
    }

    pub(crate) fn key(&mut self, mix: &Mix) -> String {
        if self.random.percent(mix.edge_percent) && self.random.one_in(3) {
            let chars = [0, KEY_CHARS_MAX, KEY_CHARS_MAX + 1];
            let chars = self.random.one_of(chars);
            return "한".repeat(chars);
        }
        format!("k{}", self.next_key)
    }

    fn quantity(&mut self, mix: &Mix) -> Units {
        if self.random.percent(mix.edge_percent) {
            let max = mix.shop.line_units_max;
            return Units(self.random.one_of([0, -1, max, max + 1, i64::MAX]));
        }
        Units(self.random.between(1, mix.goods.quantity_usual))
    }

    fn line(&mut self, mix: &Mix) -> Line {
        let product_id = ProductId(self.id(mix, mix.goods.products));
        Line { product_id, quantity: self.quantity(mix) }
    }

    /// Mostly one of this user.
    fn order(&mut self, user: u64) -> OrderId {
        let from = self.placed.len().saturating_sub(ORDERS_FROM * 4);
        let recent = &self.placed[from..];
        let own: Vec<OrderId> =
            recent.iter().rev().filter(|id| id.user() == Some(UserId(user))).copied().collect();
        let choice = self.random.below(40);
        let found = match choice {
            0 => None,
            1 => Some(OrderId([0xff; 16])),
            2 => self.random.pick(&self.placed).copied(),
            _ => self.random.pick(&own[..own.len().min(ORDERS_FROM)]).copied(),
        };
        found.unwrap_or_else(|| OrderId::of(UserId(user), "none"))
    }

    pub(crate) fn user_payload(&mut self, mix: &Mix, wish: Wish, user: u64) -> UserPayload {
        let payment = if self.random.one_in(2) { Payment::Later } else { Payment::Now };
        match wish {
            Wish::RegisterUser => {
                let is_odd = self.random.percent(mix.edge_percent);
                let odd = [("", "a@b"), ("Ada", "a@b@c"), ("Ada", "@b"), ("Ada", "ab")];
                let usual = ("Ada", "ada@example.org");
                let (name, email) = if is_odd { self.random.one_of(odd) } else { usual };
                let (name, email) = (name.to_owned(), email.to_owned());
                UserPayload::RegisterUser(RegisterUser { name, email })
            }
            Wish::Charge => {
                let max = mix.shop.charge_max;
                let odd = [0, -1, max, max + 1, i64::MAX];
                let usual = self.random.between(1, mix.goods.charge_usual);
                let is_odd = self.random.percent(mix.edge_percent);
                let amount = Money(if is_odd { self.random.one_of(odd) } else { usual });
                UserPayload::ChargeBalance(ChargeBalance { amount })
            }
            Wish::AddToCart => {
                let Line { product_id, quantity } = self.line(mix);
                UserPayload::AddToCart(AddToCart { product_id, quantity })
            }
            Wish::RemoveFromCart => {
                let Line { product_id, quantity } = self.line(mix);
                let quantity = (!self.random.one_in(3)).then_some(quantity);
                UserPayload::RemoveFromCart(RemoveFromCart { product_id, quantity })
            }
            Wish::PlaceFromCart => {
                let items = if self.random.one_in(30) { vec![self.line(mix)] } else { Vec::new() };
                UserPayload::PlaceOrder(PlaceOrder { items, from_cart: true, payment })
            }
            Wish::Pay => UserPayload::PayOrder(PayOrder { order_id: self.order(user) }),
            Wish::Cancel => UserPayload::CancelOrder(CancelOrder { order_id: self.order(user) }),
            Wish::RefundAll => {
                let order_id = self.order(user);
                UserPayload::RefundOrder(RefundOrder { order_id, items: Vec::new() })
            }
            Wish::RefundLines => {
                let order_id = self.order(user);
                let count = self.random.size(1, 2);
                let items = (0..count).map(|_| Line { quantity: Units(1), ..self.line(mix) });
                UserPayload::RefundOrder(RefundOrder { order_id, items: items.collect() })
            }
            _ => {
                let least = usize::from(self.random.percent(98));
                let count = self.random.size(least, mix.goods.lines_usual);
                let items = (0..count).map(|_| self.line(mix)).collect();
                UserPayload::PlaceOrder(PlaceOrder { items, from_cart: false, payment })
            }
        }
    }

    pub(crate) fn product_payload(&mut self, mix: &Mix, wish: Wish) -> ProductPayload {
        let is_odd = self.random.percent(mix.edge_percent);
        let odd = [-1, 0, 1_000_000_000_000, 1_000_000_000_001];
        let odd = is_odd.then(|| self.random.one_of(odd));
        let price = Money(odd.unwrap_or_else(|| self.random.between(0, mix.goods.price_max)));
        let units = Units(odd.unwrap_or_else(|| self.random.between(1, mix.goods.stock_max)));
        match wish {
            Wish::RegisterProduct => {
                let name = "Abacus".to_owned();
                ProductPayload::RegisterProduct(RegisterProduct { name, price, stock: units })
            }
            Wish::ChangeProduct => {
                let name = self.random.one_in(3).then(|| "주판".to_owned());
                let price = (!self.random.one_in(4)).then_some(price);
                ProductPayload::ChangeProduct(ChangeProduct { name, price })
            }
            _ => ProductPayload::Restock(Restock { quantity: units }),
        }
    }
}
