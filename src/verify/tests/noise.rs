//! Changed bytes under mended checksums: nothing that a record says may bring the reader down, and
//! in a journal no change stays unseen.

use super::{
    forge::{text, verify},
    random::Numbers,
    scenes::{busy, generous},
};
use jupan_schemas::TopicId;

#[test]
fn no_change_of_a_record_brings_the_reader_down() {
    for seed in 0..150 {
        let mut numbers = Numbers(seed);
        let mut shop = if seed % 2 == 0 { busy(2) } else { generous(2) };
        for _ in 0..1 + numbers.below(3) {
            let group = numbers.below(shop.log.len());
            let index = numbers.below(shop.log[group].len());
            let value = &mut shop.log[group][index].value;
            if !value.is_empty() {
                let byte = numbers.below(value.len());
                value[byte] = u8::try_from(numbers.below(256)).expect("a byte");
            }
        }
        // A panic names the seed: it is the number of the last report.
        println!("seed {seed}: {}", verify(&shop).is_ok());
    }
}

#[test]
fn no_change_of_a_journal_stays_unseen() {
    for seed in 0..100 {
        let mut numbers = Numbers(seed);
        let mut shop = if seed % 2 == 0 { busy(2) } else { generous(2) };
        let steps: Vec<(usize, usize)> = (0..shop.log.len())
            .flat_map(|group| (0..shop.log[group].len()).map(move |index| (group, index)))
            .filter(|(group, index)| {
                let topic = shop.log[*group][*index].topic;
                matches!(topic, TopicId::UserJournal | TopicId::ProductJournal)
            })
            .collect();
        // The last step of a lane has nobody behind it who names its hash.
        let (group, index) = steps[numbers.below(steps.len() - 8)];
        let value = &mut shop.log[group][index].value;
        let byte = numbers.below(value.len());
        value[byte] ^= 1 << numbers.below(8);
        let report = verify(&shop);
        assert!(!report.is_ok(), "seed {seed}: byte {byte} of {group}/{index}\n{}", text(&report));
    }
}
