//! The lane over the memory providers: order, crashes, takeovers, bounds.

mod coalescing;
mod faults;
mod harness;
mod ownership;
mod takeover;
