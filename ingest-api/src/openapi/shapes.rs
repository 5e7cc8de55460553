//! The forms of single values: ids, amounts, times, codes. Bodies, parameters and headers refer to
//! them by name, and their bounds are those that the code checks.

use crate::limits::{LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX, TOP_DAYS_DEFAULT, TOP_LIMIT_DEFAULT};
use jupan_analytics::{DAYS_MAX, LIMIT_MAX};
use jupan_schemas::{
    BALANCE_MAX, Code, EMAIL_CHARS_MAX, ID_LIMIT, NAME_CHARS_MAX, OrderStatus, PRICE_AND_STOCK_MAX,
};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, RefOr, SchemaFormat,
        schema::{ObjectBuilder, Schema, Type},
    },
};

/// A shape of that name: its documentation is its description.
macro_rules! shape {
    ($(#[doc = $line:literal])+ $name:ident = $schema:expr) => {
        $(#[doc = $line])+
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let description = concat!($($line),+).trim();
                $schema.description(Some(description)).build().into()
            }
        }

        impl ToSchema for $name {}
    };
}

const ID_MAX: i64 = ID_LIMIT.cast_signed() - 1;

shape! {
    /// A user, chosen by whoever registers it.
    UserId = integer(0, ID_MAX).examples([1])
}
shape! {
    /// A product, chosen by whoever registers it.
    ProductId = integer(0, ID_MAX).examples([101])
}
shape! {
    /// An order: a UUID of version 8 that names its user.
    OrderId = text().format(uuid()).pattern(Some(UUID8)).examples([super::samples::order(0)])
}
shape! {
    /// A command: a UUID of version 8 that names its user or product.
    CommandId = text().format(uuid()).pattern(Some(UUID8)).examples([super::samples::command()])
}
shape! {
    /// Price of one unit, in minor units of the currency: won has none, so won.
    Price = integer(0, PRICE_AND_STOCK_MAX).examples([38_000])
}
shape! {
    /// Money, in minor units of the currency: won has none, so won.
    Amount = at_least(0).examples([76_000])
}
shape! {
    /// What one charge may add, in minor units of the currency. The limits are configuration.
    ChargeAmount = at_least(1).examples([50_000])
}
shape! {
    /// What a wallet holds, in minor units of the currency.
    WalletBalance = integer(0, BALANCE_MAX).examples([50_000])
}
shape! {
    /// What came into the wallet, or (below zero) went out of it, in minor units of the currency.
    Delta = integer(-BALANCE_MAX, BALANCE_MAX).examples([50_000])
}
shape! {
    /// Units of a product that can be bought.
    Stock = integer(0, PRICE_AND_STOCK_MAX).examples([100])
}
shape! {
    /// Units that a restock adds.
    Delivered = integer(1, PRICE_AND_STOCK_MAX).examples([10])
}
shape! {
    /// Units of one line. The same product twice is one line: the limit, which is configuration,
    /// holds for the sum.
    Quantity = at_least(1).examples([2])
}
shape! {
    /// How many units go; absent, or at least what is there: all of them.
    Removed = integer(1, i64::MAX)
}
shape! {
    /// Units, counted.
    Units = at_least(0).examples([2])
}
shape! {
    /// A name to be shown: not only blanks, and without control characters.
    Name = text().max_length(Some(NAME_CHARS_MAX)).pattern(Some(NAME)).examples(["Ada Kim"])
}
shape! {
    /// An address: one `@` with something on both sides, and no blanks.
    Email = text()
        .max_length(Some(EMAIL_CHARS_MAX))
        .pattern(Some(EMAIL))
        .examples(["ada@example.org"])
}
shape! {
    /// RFC 3339 in UTC, with at most microseconds.
    Time = text()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .pattern(Some(TIME_IN_UTC))
        .examples(["2025-03-14T15:09:26.535897Z"])
}
shape! {
    /// RFC 3339 with `T`, and `Z` or any offset. Digits beyond microseconds are cut off.
    GivenTime = text()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .pattern(Some(TIME))
}
shape! {
    /// `PENDING`: its units are being held, or its payment is due. `SUCCESS`: paid and sold.
    /// `FAILED`: ended without money or stock moved, for the `reason`. `REFUNDED`: everything was
    /// given back.
    OrderStatusText = one_of(STATUSES.map(OrderStatus::as_str)).examples(["SUCCESS"])
}
shape! {
    /// Why an order failed.
    OrderReason = one_of(REASONS.map(Code::as_str)).examples(["OUT_OF_STOCK"])
}
shape! {
    /// Why something was refused. The codes are stable; each has one status, wherever it appears.
    ProblemCode = one_of(super::problems::all().map(Code::as_str)).examples(["OUT_OF_STOCK"])
}
shape! {
    /// `OK`, or the code of the problem that the command was answered with.
    OutcomeCode =
        one_of([Code::Ok].into_iter().chain(super::problems::all()).map(Code::as_str)).examples(["OK"])
}
shape! {
    /// Not decided yet, as far as is known here.
    Pending = one_of(["PENDING"])
}
shape! {
    /// All is well.
    Fine = one_of(["OK"])
}
shape! {
    /// `DONE` comes with an outcome.
    CommandStatus = one_of(["PENDING", "DONE"]).examples(["DONE"])
}
shape! {
    /// What changed a wallet: money put in, an order paid, a refund.
    EntryKind = one_of(["CHARGE", "PAYMENT", "REFUND"])
}
shape! {
    /// When an order is paid.
    PaymentTime = one_of(["now", "later"]).default(Some("now".into()))
}
shape! {
    /// Where a list goes on: the `next` of a page of this very list. Opaque.
    Cursor = text().pattern(Some(CURSOR)).examples([super::samples::cursor()])
}
shape! {
    /// How many items a page has at most.
    PageSize = integer(1, whole(LIST_LIMIT_MAX)).default(Some(LIST_LIMIT_DEFAULT.into()))
}
shape! {
    /// How many days the window spans.
    Days = integer(1, DAYS_MAX.into()).default(Some(TOP_DAYS_DEFAULT.into()))
}
shape! {
    /// How many ranks are listed at most.
    Ranks = integer(1, LIMIT_MAX.into()).default(Some(TOP_LIMIT_DEFAULT.into()))
}
shape! {
    /// A place in the list, from 1.
    Rank = integer(1, LIMIT_MAX.into())
}
shape! {
    /// Where a command lies in the log, as the Location of a 202 says it.
    Position = at_least(0)
}
shape! {
    /// Text as its header's standard has it.
    Text = text()
}
shape! {
    /// A W3C trace id.
    TraceId = text().pattern(Some("^[0-9a-f]{32}$")).examples([super::samples::TRACE])
}
shape! {
    /// 1 to 255 visible ASCII characters, bare or as a string of RFC 9651 in quotes: both forms are
    /// the same key.
    KeyText = text().pattern(Some(KEY))
}

/// All but `UNKNOWN`, which stands for those of a newer version.
const STATUSES: [OrderStatus; 4] =
    [OrderStatus::Pending, OrderStatus::Success, OrderStatus::Failed, OrderStatus::Refunded];

/// What the lanes fail an order with.
const REASONS: [Code; 6] = [
    Code::OutOfStock,
    Code::ProductNotFound,
    Code::InsufficientBalance,
    Code::TotalLimit,
    Code::Cancelled,
    Code::Expired,
];

const UUID8: &str =
    "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-8[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$";
/// Something to see, and no control character: classes of Unicode have no name that all readers of
/// the document know.
const NAME: &str = concat!(
    r"^[^\u0000-\u001f\u007f-\u009f]*",
    r"[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]",
    r"[^\u0000-\u001f\u007f-\u009f]*$",
);
const EMAIL: &str = concat!(
    r"^[^@\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+",
    r"@[^@\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$",
);
const TIME: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?\
    (Z|[+-][0-9]{2}:[0-9]{2})$";
const TIME_IN_UTC: &str =
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?Z$";
const CURSOR: &str = "^[0-9a-f]{42}$";
const KEY: &str = r#"^([!#-~][!-~]{0,254}|"([!#-\[\]-~]|\\["\\]){1,255}")$"#;

fn at_least(min: i64) -> ObjectBuilder {
    let format = Some(SchemaFormat::KnownFormat(KnownFormat::Int64));
    ObjectBuilder::new().schema_type(Type::Integer).format(format).minimum(Some(min))
}

fn integer(min: i64, max: i64) -> ObjectBuilder {
    at_least(min).maximum(Some(max))
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn one_of(values: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    text().enum_values(Some(values.into_iter().map(Value::from)))
}

fn uuid() -> Option<SchemaFormat> {
    Some(SchemaFormat::Custom("uuid".to_owned()))
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
