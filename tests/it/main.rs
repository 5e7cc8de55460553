//! Integration tests: the real binary, real sockets, real kills. One binary, a module a topic.
//!
//! `JUPAN_BIN` names the binary to test (`scripts/test` gives the release build); without it the
//! build of this profile is taken.

mod bench;
mod browser;
mod buyers;
mod chromium;
mod command_line;
mod contract;
mod demo;
mod dlq;
mod engine;
mod ground;
mod idempotency;
mod keys;
mod kills;
mod lanes;
mod live;
mod money;
mod products;
mod receipts;
mod shop;
mod steps;
mod writes;
mod wrong;
