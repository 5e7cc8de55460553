//! The earlier versions of the contract, as they were written: what a journal of years is made of.

/// Each earlier version with its schemas, in the order of [`crate::SchemaName::ALL`].
pub(crate) const EARLIER: [(u32, [&str; 9]); 1] = [(
    1,
    [
        include_str!("../versions/v1/user-command.avsc"),
        include_str!("../versions/v1/product-command.avsc"),
        include_str!("../versions/v1/user-message.avsc"),
        include_str!("../versions/v1/product-message.avsc"),
        include_str!("../versions/v1/step.avsc"),
        include_str!("../versions/v1/order-event.avsc"),
        include_str!("../versions/v1/sale.avsc"),
        include_str!("../versions/v1/top-products.avsc"),
        include_str!("../versions/v1/command-result.avsc"),
    ],
)];
