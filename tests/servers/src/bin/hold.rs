//! Starts the shared registry, says under which label, and ends with its input. How it ends in
//! between is up to whoever started it; the container goes either way.

use std::io::Read;

fn main() {
    println!("{}", jupan_servers::registry());
    println!("{}", jupan_servers::run_label());
    std::io::stdin().read_to_string(&mut String::new()).expect("its input can be read");
}
