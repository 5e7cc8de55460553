//! # Top sellers over windows of sales

mod query;
pub use query::*;
