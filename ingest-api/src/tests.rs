//! The API over the memory providers: requests go through the router or a real socket, and the test
//! plays the lane.

mod carts;
mod changes;
mod contract;
mod docs;
mod documented;
mod every_call;
mod keeper;
mod lane;
mod moody;
mod reads;
mod rig;
mod shapes;
mod sockets;
mod strict;
mod writes;
