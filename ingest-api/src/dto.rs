//! Request bodies, and their way inward: each is read strictly, checked for what can be told from
//! it alone, and becomes the command's payload. Limits that are the shop's to set are refused by
//! the lane, not here.

use crate::{json::Object, number::Number, openapi::shapes, problem::Problem, times};
use jupan_schemas::{
    AddToCart, ChangeProduct, ChargeBalance, Code, EMAIL_CHARS_MAX, Line, Micros, Money,
    NAME_CHARS_MAX, PRICE_AND_STOCK_MAX, Payment, PlaceOrder, ProductId, RegisterProduct,
    RegisterUser, Restock, Units, UserId, is_email, is_name,
};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

/// Reads an optional field: absent is fine, `null` is not.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn name(text: String) -> Result<String, Problem> {
    if is_name(&text) {
        return Ok(text);
    }
    let detail = format!("must have 1 to {NAME_CHARS_MAX} characters, and no control characters");
    Err(Problem::new(Code::InvalidName).field("name").detail(detail))
}

fn email(text: String) -> Result<String, Problem> {
    if is_email(&text) {
        return Ok(text);
    }
    let detail = format!("must have one @ and at most {EMAIL_CHARS_MAX} characters, and no blanks");
    Err(Problem::new(Code::InvalidEmail).field("email").detail(detail))
}

/// The body of `POST /users`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    #[schema(value_type = shapes::UserId)]
    id: Number,
    #[schema(value_type = shapes::Name)]
    name: String,
    #[schema(value_type = shapes::Email)]
    email: String,
}

impl NewUser {
    pub(crate) fn check(self) -> Result<(UserId, RegisterUser), Problem> {
        let id = self.id.id(UserId::new, "id")?;
        Ok((id, RegisterUser { name: name(self.name)?, email: email(self.email)? }))
    }
}

/// The body of `POST /balance/charge`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Charge {
    #[schema(value_type = shapes::UserId)]
    user_id: Number,
    #[schema(value_type = shapes::ChargeAmount)]
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

/// The body of `POST /products`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewProduct {
    #[schema(value_type = shapes::ProductId)]
    id: Number,
    #[schema(value_type = shapes::Name)]
    name: String,
    #[schema(value_type = shapes::Price)]
    price: Number,
    #[schema(value_type = shapes::Stock)]
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

/// The body of `PATCH /products/{id}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductChange {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = shapes::Name)]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = shapes::Price)]
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

/// The body of `POST /products/{id}/restock`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delivery {
    #[schema(value_type = shapes::Delivered)]
    quantity: Number,
}

impl Delivery {
    pub(crate) fn check(self) -> Result<Restock, Problem> {
        let code = Code::InvalidQuantity;
        let quantity = self.quantity.within(1, PRICE_AND_STOCK_MAX, code, "quantity")?;
        Ok(Restock { quantity: Units(quantity) })
    }
}

/// The body of `POST /order`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewOrder {
    #[schema(value_type = shapes::UserId)]
    user_id: Number,
    /// What is bought; the same product twice is one line. Not together with `fromCart`.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Vec<Item>, min_items = 1)]
    items: Option<Vec<Object<Item>>>,
    /// Whether to buy what is in the cart, instead of listed items.
    #[serde(default)]
    from_cart: bool,
    /// `now` (what is meant where nothing is said): paid as soon as its units are held. `later`: by
    /// a call of its own, until `paymentDue`.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = shapes::PaymentTime)]
    payment: Option<String>,
    /// Imports only: when it really happened. Dates the order and its sales, and no deadline.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = shapes::GivenTime)]
    occurred_at: Option<String>,
}

/// Units of one product.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WantedItem)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Item {
    /// Which product.
    #[schema(value_type = shapes::ProductId)]
    product_id: Number,
    /// How many units, at least 1.
    #[schema(value_type = shapes::Quantity)]
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
        let (items, from_cart) = (self.items.map(lines).transpose()?, self.from_cart);
        let payment = payment(self.payment.as_deref())?;
        let items = match (items, from_cart) {
            (Some(items), false) => items,
            (None, true) => Vec::new(),
            (Some(_), true) => {
                let problem = Problem::new(Code::Malformed).field("fromCart");
                return Err(problem.detail("not together with items"));
            }
            (None, false) => return Err(Problem::new(Code::InvalidLines).field("items")),
        };
        let order = PlaceOrder { items, from_cart, payment };
        Ok(CheckedOrder { user, order, occurred_at: self.occurred_at.map(time).transpose()? })
    }
}

fn payment(text: Option<&str>) -> Result<Payment, Problem> {
    match text {
        None | Some("now") => Ok(Payment::Now),
        Some("later") => Ok(Payment::Later),
        Some(_) => {
            let problem = Problem::new(Code::Malformed).field("payment");
            Err(problem.detail("must be \"now\" or \"later\""))
        }
    }
}

/// Listed items: a list that is there is not empty.
fn lines(items: Vec<Object<Item>>) -> Result<Vec<Line>, Problem> {
    if items.is_empty() {
        return Err(Problem::new(Code::InvalidLines).field("items").detail("is empty"));
    }
    items.into_iter().map(|Object(item)| item.check()).collect()
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

/// The body of `POST /order/{id}/payment` and `POST /order/{id}/cancel`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct OrderOwner {
    /// Whose order it is.
    #[schema(value_type = shapes::UserId)]
    user_id: Number,
}

impl OrderOwner {
    pub(crate) fn check(self) -> Result<UserId, Problem> {
        self.user_id.id(UserId::new, "userId")
    }
}

/// The body of `POST /order/{id}/refund`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Refund {
    /// Whose order it is.
    #[schema(value_type = shapes::UserId)]
    user_id: Number,
    /// What is given back; where nothing is listed, all that is left of the order.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Vec<Item>, min_items = 1)]
    items: Option<Vec<Object<Item>>>,
}

impl Refund {
    /// Whose order it is, and what is given back: nothing listed is all that is left.
    pub(crate) fn check(self) -> Result<(UserId, Vec<Line>), Problem> {
        let user = self.user_id.id(UserId::new, "userId")?;
        Ok((user, self.items.map(lines).transpose()?.unwrap_or_default()))
    }
}

/// The body of `POST /cart/add`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct CartAddition {
    /// Whose cart it is.
    #[schema(value_type = shapes::UserId)]
    user_id: Number,
    /// Which product; one of the catalogue.
    #[schema(value_type = shapes::ProductId)]
    product_id: Number,
    /// How many more units, at least 1.
    #[schema(value_type = shapes::Quantity)]
    quantity: Number,
}

impl CartAddition {
    pub(crate) fn check(self) -> Result<(UserId, AddToCart), Problem> {
        let user = self.user_id.id(UserId::new, "userId")?;
        let Line { product_id, quantity } =
            Item { product_id: self.product_id, quantity: self.quantity }.check()?;
        Ok((user, AddToCart { product_id, quantity }))
    }
}
