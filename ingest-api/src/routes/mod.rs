//! One file a resource. Every route reads a [`Call`](crate::call::Call) and gives an answer or a
//! problem.

pub(crate) mod balance;
pub(crate) mod cart;
pub(crate) mod commands;
pub(crate) mod order_changes;
pub(crate) mod orders;
pub(crate) mod probes;
pub(crate) mod products;
mod standing;
pub(crate) mod users;
pub(crate) mod web;
