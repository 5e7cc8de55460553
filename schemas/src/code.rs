//! Every stable code that an asker can get, in one list. Symbols are persisted by their position, here
//! as in the schema: never reorder, never rename, add at the end.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What an asker gets told: `Ok`, or why not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code {
            /// A symbol of a newer version.
            #[serde(rename = "UNKNOWN")]
            Unknown,
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Code {
            /// Every code of this version, in the order of the schema, without `Unknown`.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable text, as in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::Unknown => "UNKNOWN",
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// It was done.
    Ok = "OK",
    /// The body cannot be read, or a field has the wrong type.
    Malformed = "MALFORMED",
    /// The body has a field that the call does not know.
    UnknownField = "UNKNOWN_FIELD",
    /// An id is not one of the form asked for.
    InvalidId = "INVALID_ID",
    /// A name is empty or too long.
    InvalidName = "INVALID_NAME",
    /// An e-mail address is empty, too long or has no `@`.
    InvalidEmail = "INVALID_EMAIL",
    /// An amount is outside the charge limits.
    InvalidAmount = "INVALID_AMOUNT",
    /// A price is negative or above 10^12.
    InvalidPrice = "INVALID_PRICE",
    /// A quantity is below 1 or above its limit.
    InvalidQuantity = "INVALID_QUANTITY",
    /// An order has no lines, or too many.
    InvalidLines = "INVALID_LINES",
    /// An idempotency key is empty, too long or missing where it is required.
    InvalidKey = "INVALID_KEY",
    /// A time cannot be read or lies where the call does not allow it.
    InvalidTime = "INVALID_TIME",
    /// A list's cursor or limit is none that the server gave.
    InvalidCursor = "INVALID_CURSOR",
    /// No such user.
    UserNotFound = "USER_NOT_FOUND",
    /// No such product.
    ProductNotFound = "PRODUCT_NOT_FOUND",
    /// No such order of this user.
    OrderNotFound = "ORDER_NOT_FOUND",
    /// No command with this id is known.
    CommandNotFound = "COMMAND_NOT_FOUND",
    /// The server has no such path.
    RouteNotFound = "ROUTE_NOT_FOUND",
    /// The path does not know this method.
    MethodNotAllowed = "METHOD_NOT_ALLOWED",
    /// The caller is another user than the one named.
    UserMismatch = "USER_MISMATCH",
    /// The caller may not do this.
    Forbidden = "FORBIDDEN",
    /// The wallet holds less than the order costs.
    InsufficientBalance = "INSUFFICIENT_BALANCE",
    /// A product has fewer available units than asked for.
    OutOfStock = "OUT_OF_STOCK",
    /// The order was cancelled.
    Cancelled = "CANCELLED",
    /// The order's deadline passed.
    Expired = "EXPIRED",
    /// Payment came after the order's deadline.
    OrderExpired = "ORDER_EXPIRED",
    /// The order is no longer pending.
    OrderNotPending = "ORDER_NOT_PENDING",
    /// The order still waits for its product lanes; try again.
    OrderNotReady = "ORDER_NOT_READY",
    /// Only a paid order can be refunded.
    OrderNotPaid = "ORDER_NOT_PAID",
    /// More than was bought and not yet refunded.
    RefundExceeds = "REFUND_EXCEEDS",
    /// The cart has no lines.
    CartEmpty = "CART_EMPTY",
    /// The cart has as many lines as it may.
    CartFull = "CART_FULL",
    /// The id is taken.
    AlreadyExists = "ALREADY_EXISTS",
    /// The wallet would hold more than 10^15.
    BalanceLimit = "BALANCE_LIMIT",
    /// The product would have more than 10^12 units.
    StockLimit = "STOCK_LIMIT",
    /// The order's total is more than can be counted.
    TotalLimit = "TOTAL_LIMIT",
    /// The key was used for another request.
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED",
    /// The command was made more than 14 days before it arrived.
    CommandTooOld = "COMMAND_TOO_OLD",
    /// The command was made more than 5 minutes after it arrived.
    CommandFromFuture = "COMMAND_FROM_FUTURE",
    /// The record lies on another partition than its key's.
    WrongPartition = "WRONG_PARTITION",
    /// This version does not do that.
    Unsupported = "UNSUPPORTED",
    /// The body is larger than the server reads.
    PayloadTooLarge = "PAYLOAD_TOO_LARGE",
    /// The body is not JSON.
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE",
    /// Too much at once; nothing was written.
    TooManyRequests = "TOO_MANY_REQUESTS",
    /// The server cannot take it now; nothing was written.
    Unavailable = "UNAVAILABLE",
    /// Whether it was written is unknown; ask again with the same key.
    OutcomeUnknown = "OUTCOME_UNKNOWN",
    /// The request came too slowly.
    Timeout = "TIMEOUT",
    /// The server is broken.
    Internal = "INTERNAL",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Code {
    /// Answers to this asker only: never stored as the command id's outcome, so the key is not consumed.
    pub fn is_for_this_asker_only(self) -> bool {
        matches!(
            self,
            Self::IdempotencyKeyReused
                | Self::OrderNotReady
                | Self::CommandTooOld
                | Self::CommandFromFuture
                | Self::WrongPartition
        )
    }
}
