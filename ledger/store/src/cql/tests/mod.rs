//! What can be tested without a server.

mod ddl;
mod lint;
mod plans;
mod round_trip;
