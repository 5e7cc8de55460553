//! The API over the memory providers: requests go through the router or a real socket, and the test
//! plays the lane.

mod lane;
mod reads;
mod rig;
mod sockets;
mod strict;
mod writes;
