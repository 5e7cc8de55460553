//! A cart as it is shown.

use crate::openapi::shapes;
use jupan_schemas::{Line, Money, ProductId, Units, UserId, rows::ProductRow};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A cart, with names and prices as they are today.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cart {
    /// Whose cart.
    #[schema(value_type = shapes::UserId)]
    user_id: UserId,
    /// One line a product.
    items: Vec<CartItem>,
    /// What the items with a price cost together; 9223372036854775807 where it would be more.
    #[schema(value_type = shapes::Amount)]
    total_price: Money,
}

/// One line of a cart.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CartItem {
    /// Which product.
    #[schema(value_type = shapes::ProductId)]
    product_id: ProductId,
    /// Its name; absent where the catalogue does not know the product (yet).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    name: Option<String>,
    /// Price of one unit; absent where the catalogue does not know the product (yet).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = shapes::Price)]
    price: Option<Money>,
    /// How many units.
    #[schema(value_type = shapes::Units)]
    quantity: Units,
}

impl Cart {
    /// Lines, each with what the catalogue has of its product.
    pub(crate) fn new(user_id: UserId, lines: Vec<(Line, Option<Arc<ProductRow>>)>) -> Self {
        const HIGHEST: Money = Money(i64::MAX);
        let cost = |item: &CartItem| Some(item.price?.checked_times(item.quantity));
        let (mut items, mut total_price) = (Vec::with_capacity(lines.len()), Money::ZERO);
        for (Line { product_id, quantity }, row) in lines {
            let (name, price) = row.map(|row| (row.name.to_string(), row.price)).unzip();
            let item = CartItem { product_id, name, price, quantity };
            if let Some(cost) = cost(&item) {
                let sum = cost.and_then(|cost| total_price.checked_add(cost));
                total_price = sum.unwrap_or(HIGHEST);
            }
            items.push(item);
        }
        Self { user_id, items, total_price }
    }
}
