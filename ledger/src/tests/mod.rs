//! The core's tests: tables of what a shop is told and what it answers (`table`), run over both
//! cores with several lanes each (`shop`), and audited after every one (`audit`).

mod audit;
mod bugs;
mod carts;
mod edges;
mod idempotency;
mod later;
mod memory;
mod orders;
mod properties;
mod refusals;
mod shop;
mod table;
