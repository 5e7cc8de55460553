//! What a product lane's inputs had to lead to: the catalogue, stock and holds.

use super::{
    Now, Shop,
    expected::Expected,
    keys::{Command, Keys, plain},
};
use jupan_schemas::{
    Account, Change, ChangeProduct, Code, HoldEnd, HoldEnded, HoldOpened, LinesReturned, Message,
    Micros, Money, OrderId, PricedLine, ProductChanged, ProductId, ProductPayload,
    ProductRegistered, Refused, RegisterProduct, Reserve, Reserved, Return, Sale, Units, Verdict,
    rows::{HoldRow, ProductRow},
};
use std::collections::BTreeMap;

/// A product lane as it must be.
pub(crate) struct Products {
    pub(crate) lane: u16,
    pub(crate) products: BTreeMap<ProductId, ProductRow>,
    /// Ended ones stay.
    pub(crate) holds: BTreeMap<OrderId, HoldRow>,
    pub(crate) keys: Keys<ProductPayload>,
    pub(crate) sales: Vec<Sale>,
}

/// A product's command.
pub(crate) type Wish = Command<ProductPayload>;

const MOST: i64 = 1_000_000_000_000;

fn is_name(name: &str) -> bool {
    (1..=100).contains(&name.chars().count())
}

impl Products {
    pub(crate) fn new(_: Shop, lane: u16) -> Self {
        let (products, holds) = (BTreeMap::new(), BTreeMap::new());
        Self { lane, products, holds, keys: Keys::new(lane), sales: Vec::new() }
    }

    pub(crate) fn command(&mut self, now: &Now, wish: &Wish) -> Expected {
        if let Some(expected) = Keys::form(wish, now.at) {
            return expected;
        }
        if let Some(expected) = self.keys.known(wish, now.at) {
            return expected;
        }
        let id = ProductId(wish.id);
        match &wish.payload {
            ProductPayload::RegisterProduct(body) => self.register(now, id, wish, body),
            ProductPayload::ChangeProduct(body) => self.change(now, id, wish, body),
            ProductPayload::Restock(body) => self.restock(now, id, wish, body.quantity.0),
        }
    }

    fn register(
        &mut self,
        now: &Now,
        id: ProductId,
        wish: &Wish,
        body: &RegisterProduct,
    ) -> Expected {
        let refused = match () {
            () if !is_name(&body.name) => Code::InvalidName,
            () if body.price.0 < 0 || body.price.0 > MOST => Code::InvalidPrice,
            () if body.stock.0 < 0 || body.stock.0 > MOST => Code::InvalidQuantity,
            () if self.products.contains_key(&id) => Code::AlreadyExists,
            () => Code::Ok,
        };
        if refused != Code::Ok {
            return self.keys.refuse(wish, now, plain(refused));
        }
        let (name, price) = (body.name.clone(), body.price);
        let row = ProductRow {
            product_id: id,
            lane: self.lane,
            as_of: now.as_of,
            name: name.as_str().into(),
            price,
            supply: Units(0),
            available: Units(0),
            reserved: Units(0),
            sold: Units(0),
            created_at: now.at,
            updated_at: now.at,
        };
        self.products.insert(id, row);
        let change = Change::ProductRegistered(ProductRegistered { product_id: id, name, price });
        let mut expected = self.keys.accept(wish, now, plain(Code::Ok), vec![change]);
        self.shift(now, (id, body.stock.0), (Account::Supply, Account::Available), &mut expected);
        expected
    }

    fn change(&mut self, now: &Now, id: ProductId, wish: &Wish, body: &ChangeProduct) -> Expected {
        let refused = match () {
            () if body.name.is_none() && body.price.is_none() => Code::Malformed,
            () if body.name.as_deref().is_some_and(|name| !is_name(name)) => Code::InvalidName,
            () if body.price.is_some_and(|price| price.0 < 0 || price.0 > MOST) => {
                Code::InvalidPrice
            }
            () if !self.products.contains_key(&id) => Code::ProductNotFound,
            () => Code::Ok,
        };
        if refused != Code::Ok {
            return self.keys.refuse(wish, now, plain(refused));
        }
        if let Some(row) = self.products.get_mut(&id) {
            row.name = body.name.as_deref().map_or_else(|| row.name.clone(), Into::into);
            row.price = body.price.unwrap_or(row.price);
            (row.updated_at, row.as_of) = (now.at, now.as_of);
        }
        let (name, price) = (body.name.clone(), body.price);
        let change = Change::ProductChanged(ProductChanged { product_id: id, name, price });
        self.keys.accept(wish, now, plain(Code::Ok), vec![change])
    }

    fn restock(&mut self, now: &Now, id: ProductId, wish: &Wish, units: i64) -> Expected {
        if units < 1 {
            return self.keys.refuse(wish, now, plain(Code::InvalidQuantity));
        }
        let Some(row) = self.products.get(&id) else {
            return self.keys.refuse(wish, now, plain(Code::ProductNotFound));
        };
        let after = i128::from(row.available.0) + i128::from(row.reserved.0) + i128::from(units);
        let supply = i128::from(row.supply.0) + i128::from(units);
        if after > i128::from(MOST) || supply > i128::from(i64::MAX) {
            return self.keys.refuse(wish, now, plain(Code::StockLimit));
        }
        let mut expected = self.keys.accept(wish, now, plain(Code::Ok), Vec::new());
        self.shift(now, (id, units), (Account::Supply, Account::Available), &mut expected);
        expected
    }

    /// Moves units of a product between its accounts.
    fn shift(
        &mut self,
        now: &Now,
        (id, units): (ProductId, i64),
        (from, to): (Account, Account),
        expected: &mut Expected,
    ) {
        expected.transfer(units, (from, id.0), (to, id.0));
        let Some(row) = self.products.get_mut(&id).filter(|_| units != 0) else { return };
        for (account, delta) in [(from, -units), (to, units)] {
            match account {
                // Units come from there: what is left of it is counted the other way round.
                Account::Supply => row.supply.0 -= delta,
                Account::Available => row.available.0 += delta,
                Account::Reserved => row.reserved.0 += delta,
                _ => row.sold.0 += delta,
            }
        }
        (row.updated_at, row.as_of) = (now.at, now.as_of);
    }

    pub(crate) fn reserve(&mut self, now: &Now, user_lane: u16, told: &Reserve) -> Expected {
        let order_id = told.order_id;
        if self.holds.get(&order_id).is_some_and(|hold| hold.end.is_none()) {
            return Expected::nothing(Verdict::Ignored, Code::Ok);
        }
        let unknown = told.lines.iter().find(|line| !self.products.contains_key(&line.product_id));
        let is_short = |product_id, quantity: Units| {
            self.products.get(&product_id).is_none_or(|row| row.available < quantity)
        };
        let short = told.lines.iter().find(|line| is_short(line.product_id, line.quantity));
        let refused = unknown
            .map(|line| (Code::ProductNotFound, line.product_id))
            .or_else(|| short.map(|line| (Code::OutOfStock, line.product_id)));
        if let Some((code, product_id)) = refused {
            let mut expected = Expected::nothing(Verdict::Refused, code);
            let message = Message::Refused(Refused { order_id, code, product_id });
            expected.messages.push((user_lane, message));
            return expected;
        }
        let mut expected = Expected::accepted();
        let mut lines = Vec::new();
        for line in &told.lines {
            let (product_id, quantity) = (line.product_id, line.quantity);
            let price = self.products.get(&product_id).map_or(Money(0), |row| row.price);
            lines.push(PricedLine { product_id, quantity, price });
            let accounts = (Account::Available, Account::Reserved);
            self.shift(now, (product_id, quantity.0), accounts, &mut expected);
        }
        let opened = HoldOpened { order_id, user_lane, lines: lines.clone() };
        expected.change(Change::HoldOpened(opened));
        let reserved = Reserved { order_id, lines: lines.clone() };
        expected.messages.push((user_lane, Message::Reserved(reserved)));
        let (lane, as_of) = (self.lane, now.as_of);
        self.holds.insert(order_id, HoldRow { order_id, lane, as_of, user_lane, lines, end: None });
        expected
    }

    /// Sold at a time, or released.
    pub(crate) fn end_hold(
        &mut self,
        now: &Now,
        order_id: OrderId,
        sold_at: Option<Micros>,
    ) -> Result<Expected, String> {
        let hold = self.holds.get_mut(&order_id).filter(|hold| hold.end.is_none());
        let Some(hold) = hold else {
            return match sold_at {
                None => Ok(Expected::nothing(Verdict::Ignored, Code::Ok)),
                Some(_) => Err(format!("{order_id} is settled, but nothing is held for it")),
            };
        };
        let end = if sold_at.is_some() { HoldEnd::Settled } else { HoldEnd::Released };
        (hold.end, hold.as_of) = (Some(end), now.as_of);
        let lines = hold.lines.clone();
        let mut expected = Expected::accepted();
        expected.change(Change::HoldEnded(HoldEnded { order_id, end, sold_at }));
        let to = if sold_at.is_some() { Account::Sold } else { Account::Available };
        for line in &lines {
            let units = (line.product_id, line.quantity.0);
            self.shift(now, units, (Account::Reserved, to), &mut expected);
            if let Some(sold_at) = sold_at {
                self.sale(now, order_id, sold_at, (line, 1));
            }
        }
        Ok(expected)
    }

    pub(crate) fn give_back(&mut self, now: &Now, told: &Return) -> Expected {
        let mut expected = Expected::accepted();
        let Return { order_id, lines, sold_at } = told.clone();
        for line in &lines {
            let units = (line.product_id, line.quantity.0);
            self.shift(now, units, (Account::Sold, Account::Available), &mut expected);
            self.sale(now, order_id, sold_at, (line, -1));
        }
        let returned = LinesReturned { order_id, lines, sold_at };
        expected.change(Change::LinesReturned(returned));
        expected
    }

    fn sale(
        &mut self,
        now: &Now,
        order_id: OrderId,
        sold_at: Micros,
        (line, sign): (&PricedLine, i64),
    ) {
        let product_id = line.product_id;
        let amount = line.price.0.saturating_mul(line.quantity.0);
        self.sales.push(Sale {
            event_id: format!("products/{}/{}/{product_id}", self.lane, now.as_of.sequence),
            product_id,
            order_id: order_id.to_string(),
            units: Units(sign * line.quantity.0),
            amount: Money(sign * amount),
            sold_at,
            stamp: now.as_of.stamp,
        });
    }
}
