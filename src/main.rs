//! # jupan: one binary, roles are subcommands
//!
//! The command line, the configuration and the wiring of roles. The only place that names a
//! provider, and the only one that ends the process.
//!
//! Exit codes: 0 fine, 1 found a fault, 2 wrong use, 3 could not run.

mod bench;
mod cli;
mod client;
mod cluster;
mod config;
mod demo;
mod dlq;
mod inspection;
mod open_files;
mod probe;
mod remedies;
mod replay;
mod shop;
mod simulate;
mod traces;
mod verify;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Everything went well.
pub(crate) const FINE: u8 = 0;
/// The thing looked at has a fault.
pub(crate) const FOUND_A_FAULT: u8 = 1;
/// The call makes no sense as it is.
pub(crate) const WRONG_USE: u8 = 2;
/// It could not be run, or not to its end.
pub(crate) const COULD_NOT_RUN: u8 = 3;

fn main() -> ExitCode {
    let call = match config::parse(std::env::args_os()) {
        Ok(call) => call,
        Err(wrong) => {
            let is_help = !wrong.use_stderr();
            let printed = wrong.print();
            return ExitCode::from(if is_help && printed.is_ok() { FINE } else { WRONG_USE });
        }
    };
    ExitCode::from(cli::run(call))
}
