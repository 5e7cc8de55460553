//! The Kafka provider against a real broker: the suite that every provider passes, and what only
//! this one can get wrong.

mod rig;
mod sharing;
mod traps;

use jupan_log::conformance;

#[test]
fn conformance_suite() {
    let rig = rig::Rig::default();
    for (rule, check) in conformance::CHECKS {
        println!("{rule}");
        check(&rig);
    }
}
