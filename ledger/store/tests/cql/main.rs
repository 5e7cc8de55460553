//! The store on a real CQL server.

mod away;
mod minutes;
mod pages;
mod proxy;
mod races;
mod rules;
mod server;
mod tables;
