//! A shop of several processes on real servers, and what goes wrong with it. A binary of its own: what
//! is frozen, killed and timed out here wants the machine for itself.
//!
//! `JUPAN_BIN` names the binary to test, as for the integration tests, whose shop, load and ledger
//! these are.

mod evolution;
mod faults;
mod fleet;
mod outages;
mod producers;
mod samples;
mod strangers;
mod wiped;
mod wire;

#[allow(dead_code, reason = "the integration tests use the rest")]
#[path = "../it/contract.rs"]
mod contract;
#[allow(dead_code, reason = "the integration tests use the rest")]
#[path = "../it/ground.rs"]
mod ground;
#[allow(dead_code, reason = "the integration tests use the rest")]
#[path = "../it/shop.rs"]
mod shop;
#[allow(dead_code, reason = "the integration tests use the rest")]
#[path = "../it/writes.rs"]
mod writes;
