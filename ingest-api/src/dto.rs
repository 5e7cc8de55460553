//! Request bodies, and their way inward: each is read strictly, checked for what can be told from
//! it alone, and becomes the command's payload. Limits that are the shop's to set are refused by
//! the lane, not here.

use crate::{
    json::Object,
    limits::{EMAIL_CHARS_MAX, NAME_CHARS_MAX},
    problem::Problem,
    times,
};
use jupan_schemas::{
    ChangeProduct, ChargeBalance, Code, Line, Micros, Money, PRICE_AND_STOCK_MAX, Payment,
    PlaceOrder, ProductId, RegisterProduct, RegisterUser, Restock, Units, UserId,
};
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::fmt;

/// A JSON value where an integer belongs. Reading never fails, so that the refusal can name field
/// and code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    Integer(i64),
    /// A fraction, an exponent, text, null, a list …
    Other,
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
        Ok(Number::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
        Ok(i64::try_from(value).map_or(Number::Other, Number::Integer))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Number, E> {
        Ok(Number::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Number, E> {
        Ok(Number::Other)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Number, E> {
        Ok(Number::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Number, E> {
        Ok(Number::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Number, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Number::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Number, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Number::Other)
    }
}

impl Number {
    fn within(self, min: i64, max: i64, code: Code, field: &str) -> Result<i64, Problem> {
        match self {
            Self::Integer(value) if (min..=max).contains(&value) => Ok(value),
            Self::Integer(_) if max < i64::MAX => {
                Err(Problem::new(code).field(field).detail(format!("must be {min} to {max}")))
            }
            Self::Integer(_) => {
                Err(Problem::new(code).field(field).detail(format!("must be at least {min}")))
            }
            Self::Other => Err(Problem::new(code).field(field).detail("must be an integer")),
        }
    }

    fn id<T>(self, new: impl FnOnce(u64) -> Option<T>, field: &str) -> Result<T, Problem> {
        let id = match self {
            Self::Integer(value) => u64::try_from(value).ok().and_then(new),
            Self::Other => None,
        };
        let detail = "must be an integer from 0 to 9007199254740991";
        id.ok_or_else(|| Problem::new(Code::InvalidId).field(field).detail(detail))
    }
}

/// A whole number as it stands in paths, queries and headers: digits only, without leading zeros.
pub(crate) fn id_text(text: &str) -> Option<u64> {
    let is_plain =
        text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_plain.then(|| text.parse().ok()).flatten()
}

/// Reads an optional field: absent is fine, `null` is not.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn name(text: String) -> Result<String, Problem> {
    let is_shown = !text.trim().is_empty() && !text.contains(char::is_control);
    if is_shown && text.chars().count() <= NAME_CHARS_MAX {
        return Ok(text);
    }
    let detail = format!("must have 1 to {NAME_CHARS_MAX} characters, and no control characters");
    Err(Problem::new(Code::InvalidName).field("name").detail(detail))
}

/// One `@` with something on both sides; more only the mail's arrival can tell.
fn email(text: String) -> Result<String, Problem> {
    let halves = text.split_once('@');
    let has_two_sides = halves
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    let is_plain = !text.contains(|c: char| c.is_control() || c.is_whitespace());
    if has_two_sides && is_plain && text.chars().count() <= EMAIL_CHARS_MAX {
        return Ok(text);
    }
    let detail = format!("must have one @ and at most {EMAIL_CHARS_MAX} characters, and no blanks");
    Err(Problem::new(Code::InvalidEmail).field("email").detail(detail))
}

/// `POST /users`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    id: Number,
    name: String,
    email: String,
}

impl NewUser {
    pub(crate) fn check(self) -> Result<(UserId, RegisterUser), Problem> {
        let id = self.id.id(UserId::new, "id")?;
        Ok((id, RegisterUser { name: name(self.name)?, email: email(self.email)? }))
    }
}

/// `POST /balance/charge`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Charge {
    user_id: Number,
    amount: Number,
}

impl Charge {
    pub(crate) fn check(self) -> Result<(UserId, ChargeBalance), Problem> {
        let user = self.user_id.id(UserId::new, "userId")?;
        let amount = self.amount.within(1, i64::MAX, Code::InvalidAmount, "amount")?;
        Ok((user, ChargeBalance { amount: Money(amount) }))
    }
}

fn price(number: Number) -> Result<Money, Problem> {
    number.within(0, PRICE_AND_STOCK_MAX, Code::InvalidPrice, "price").map(Money)
}

/// `POST /products`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewProduct {
    id: Number,
    name: String,
    price: Number,
    stock: Number,
}

impl NewProduct {
    pub(crate) fn check(self) -> Result<(ProductId, RegisterProduct), Problem> {
        let id = self.id.id(ProductId::new, "id")?;
        let (name, price) = (name(self.name)?, price(self.price)?);
        let stock = self.stock.within(0, PRICE_AND_STOCK_MAX, Code::InvalidQuantity, "stock")?;
        Ok((id, RegisterProduct { name, price, stock: Units(stock) }))
    }
}

/// `PATCH /products/{id}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductChange {
    #[serde(default, deserialize_with = "present")]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    price: Option<Number>,
}

impl ProductChange {
    pub(crate) fn check(self) -> Result<ChangeProduct, Problem> {
        let name = self.name.map(name).transpose()?;
        let price = self.price.map(price).transpose()?;
        if name.is_none() && price.is_none() {
            return Err(Problem::new(Code::Malformed).detail("nothing to change"));
        }
        Ok(ChangeProduct { name, price })
    }
}

/// `POST /products/{id}/restock`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delivery {
    quantity: Number,
}

impl Delivery {
    pub(crate) fn check(self) -> Result<Restock, Problem> {
        let code = Code::InvalidQuantity;
        let quantity = self.quantity.within(1, PRICE_AND_STOCK_MAX, code, "quantity")?;
        Ok(Restock { quantity: Units(quantity) })
    }
}

/// `POST /order`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewOrder {
    user_id: Number,
    #[serde(default)]
    items: Vec<Object<Item>>,
    #[serde(default)]
    from_cart: bool,
    #[serde(default, deserialize_with = "present")]
    payment: Option<String>,
    #[serde(default, deserialize_with = "present")]
    occurred_at: Option<String>,
}

/// One product of an order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Item {
    product_id: Number,
    quantity: Number,
}

/// An order, checked for form.
#[derive(Debug)]
pub(crate) struct CheckedOrder {
    pub(crate) user: UserId,
    pub(crate) order: PlaceOrder,
    pub(crate) occurred_at: Option<Micros>,
}

impl NewOrder {
    pub(crate) fn check(self) -> Result<CheckedOrder, Problem> {
        let user = self.user_id.id(UserId::new, "userId")?;
        let unsupported = |field| Err(Problem::new(Code::Unsupported).field(field));
        match self.payment.as_deref() {
            None | Some("now") => {}
            Some("later") => return unsupported("payment"),
            Some(_) => {
                let problem = Problem::new(Code::Malformed).field("payment");
                return Err(problem.detail("must be \"now\" or \"later\""));
            }
        }
        if self.from_cart {
            return unsupported("fromCart");
        }
        if self.items.is_empty() {
            return Err(Problem::new(Code::InvalidLines).field("items"));
        }
        let items = self.items.into_iter().map(|Object(item)| item.check());
        let order = PlaceOrder {
            items: items.collect::<Result<_, _>>()?,
            from_cart: false,
            payment: Payment::Now,
        };
        Ok(CheckedOrder { user, order, occurred_at: self.occurred_at.map(time).transpose()? })
    }
}

impl Item {
    fn check(self) -> Result<Line, Problem> {
        let product_id = self.product_id.id(ProductId::new, "productId")?;
        let code = Code::InvalidQuantity;
        let quantity = self.quantity.within(1, i64::MAX, code, "quantity")?;
        Ok(Line { product_id, quantity: Units(quantity) })
    }
}

#[allow(clippy::needless_pass_by_value, reason = "mapped over an Option that owns its text")]
fn time(text: String) -> Result<Micros, Problem> {
    let invalid = || Problem::new(Code::InvalidTime).field("occurredAt");
    times::parse(&text).ok_or_else(|| invalid().detail("not an RFC 3339 time"))
}
