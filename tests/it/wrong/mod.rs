//! Wrong input, to the real binary: requests that no client library would send, clients that are slow,
//! silent or gone, data directories that cannot be used, a full disk, a full queue. Each gets its clear
//! answer, nothing panics, nothing is written, and the shop goes on.

mod answers;
mod bodies;
mod calls;
mod clients;
mod directories;
mod disk;
mod garbage;
mod headers;
mod queue;
mod values;
mod watched;
mod wire;
