//! A small shop drives the real cores and writes its log in the format, frame by frame. Then
//! somebody tampers with it, and each time the right fault must be found in the right place.

mod chaos;
mod corrupted_journal;
mod corrupted_store;
mod faults;
mod forge;
mod forged;
mod format;
mod good;
mod growing;
mod lane;
mod noise;
mod random;
mod scenes;
mod shop;
mod stored;
mod sweep;
mod writer;
