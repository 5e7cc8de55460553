//! Where a list goes on. Opaque to callers: kind of list, whose list, and a position, with a check
//! sum that tells a changed one. No secret: it says nothing that its list does not, and the list
//! checks its caller itself.

use crate::hex;

/// Which list a cursor belongs to. The numbers are in cursors that callers hold: never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// All products; the position is the last shown id.
    Products = 1,
    /// One user's statement; the position is the last shown entry.
    Entries = 2,
    /// One user's orders; the position is the entry that placed the last shown one.
    Orders = 3,
}

const BYTES: usize = 1 + 8 + 8 + 4;

/// Writes a cursor. `owner` is the user whose list it is, or 0.
pub(crate) fn write(list: List, owner: u64, position: u64) -> String {
    let mut bytes = [0; BYTES];
    bytes[0] = list as u8;
    bytes[1..9].copy_from_slice(&owner.to_be_bytes());
    bytes[9..17].copy_from_slice(&position.to_be_bytes());
    let sum = check_sum(&bytes[..17]);
    bytes[17..].copy_from_slice(&sum.to_be_bytes());
    hex::encode(&bytes)
}

/// Reads the position of a cursor that was written for this very list.
pub(crate) fn read(list: List, owner: u64, text: &str) -> Option<u64> {
    let bytes: [u8; BYTES] = hex::decode(text)?;
    let position = u64::from_be_bytes(bytes[9..17].try_into().ok()?);
    (write(list, owner, position) == text).then_some(position)
}

/// FNV-1a: every step is a bijection, so no single changed byte goes unseen.
fn check_sum(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    bytes.iter().fold(0x811c_9dc5, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cursors_come_back(owner: u64, position: u64) {
            for list in [List::Products, List::Entries, List::Orders] {
                prop_assert_eq!(read(list, owner, &write(list, owner, position)), Some(position));
            }
            let written = write(List::Entries, owner, position);
            prop_assert_eq!(read(List::Products, owner, &written), None);
            prop_assert_eq!(read(List::Orders, owner, &written), None);
            prop_assert_eq!(read(List::Entries, owner ^ 1, &written), None);
        }

        #[test]
        fn changed_cursors_are_refused(
            position: u64,
            at in 0..2 * BYTES,
            digit in "[0-9a-fA-Fxg]",
        ) {
            let written = write(List::Products, 0, position);
            let mut changed = written.clone();
            changed.replace_range(at..=at, &digit);
            prop_assume!(changed != written);
            prop_assert_eq!(read(List::Products, 0, &changed), None);
        }

        #[test]
        fn anything_else_is_refused(text in ".{0,50}") {
            prop_assert_eq!(read(List::Products, 0, &text), None);
        }
    }
}
