//! One thing in the log is changed, and the chain and the checksums behind it are mended: it is
//! found under its invariant, in its lane, at its entry. With the store's table that makes more
//! than fifty things that cannot be changed unseen.

use super::{
    corrupted_store,
    forge::{
        PRODUCTS_0, Planted, USERS_0, at, at_step, change_entry, change_record, change_steps,
        double_record, drop_record, find, options, put_step, steps, text, verify_directory,
    },
    scenes::generous,
    shop::Shop,
    stored,
    writer::note_floor,
};
use crate::verify::{
    findings::{Finding, Invariant},
    run,
};
use Invariant::{Carts, Inputs, Journal, Log, Money, Orders, Outcomes, Stock, TopSellers, Wallets};
use jupan_schemas::{
    Account, Change, Code, CommandResult, Entry, Lane, Message, Money as Won, OrderEvent, Posting,
    ProductMessage, Sale, Stamp, ToProducts, TopProducts, TopicId, TraceId, Units, Verdict,
};
use std::{collections::BTreeSet, fs, path::Path};
use tempfile::TempDir;

/// Name, broken invariant, what the finding is about, and how it is done.
type Corruption = (&'static str, Invariant, &'static str, fn(&mut Shop) -> Planted);

/// Changes the first entry of a lane that can be changed so.
fn entry(shop: &mut Shop, lane: Lane, change: impl FnMut(&mut Entry) -> bool) -> Planted {
    at(lane, change_entry(shop, lane, change))
}

fn posting(entry: &mut Entry, account: Account) -> Option<&mut Posting> {
    entry.postings.iter_mut().find(|posting| posting.account == account)
}

fn is_payment(entry: &Entry) -> bool {
    entry.postings.iter().any(|posting| posting.account == Account::Revenue && posting.delta > 0)
}

macro_rules! first {
    ($entry:ident, $change:ident, $found:ident => $edit:expr) => {
        $entry.changes.iter_mut().any(|change| match change {
            Change::$change($found) => {
                $edit;
                true
            }
            _ => false,
        })
    };
}

fn in_lane(lane: Lane) -> Planted {
    Planted { lane: Some(lane), ..Planted::default() }
}

const AMOUNTS: &[Corruption] = &[
    ("one won more in a posting", Money, "sum of the postings", |shop| {
        entry(shop, USERS_0, |e| posting(e, Account::Wallet).map(|p| p.delta += 1).is_some())
    }),
    ("one won more in a balance", Money, "balance of Wallet", |shop| {
        entry(shop, USERS_0, |e| posting(e, Account::Wallet).map(|p| p.balance += 1).is_some())
    }),
    ("somebody else's revenue", Money, "owner of Revenue", |shop| {
        entry(shop, USERS_0, |e| posting(e, Account::Revenue).map(|p| p.owner = 7).is_some())
    }),
    ("a wallet below zero", Wallets, "balance of Wallet", |shop| {
        entry(shop, USERS_0, |e| {
            is_payment(e) && posting(e, Account::Wallet).map(|p| p.balance = -1).is_some()
        })
    }),
    ("one unit more in a posting", Stock, "sum of the postings", |shop| {
        entry(shop, PRODUCTS_0, |e| posting(e, Account::Available).map(|p| p.delta += 1).is_some())
    }),
    ("available units below zero", Stock, "balance of Available", |shop| {
        entry(shop, PRODUCTS_0, |e| {
            posting(e, Account::Available).map(|p| p.balance = -1).is_some()
        })
    }),
    ("units of another product", Stock, "sum of the postings", |shop| {
        entry(shop, PRODUCTS_0, |e| posting(e, Account::Reserved).map(|p| p.owner += 1).is_some())
    }),
];

const ANSWERS: &[Corruption] = &[
    ("a stored outcome's code", Outcomes, "code of the stored outcome", |shop| {
        entry(shop, USERS_0, |e| first!(e, OutcomeStored, c => c.outcome.code = Code::Internal))
    }),
    ("a stored outcome's fingerprint", Outcomes, "fingerprint of the stored outcome", |shop| {
        entry(shop, USERS_0, |e| first!(e, OutcomeStored, c => c.fingerprint.0[3] ^= 4))
    }),
    ("an answer that is not given", Outcomes, "answers", |shop| {
        entry(shop, USERS_0, |e| e.answers.pop().is_some())
    }),
    ("an answer to somebody else", Outcomes, "answers", |shop| {
        entry(shop, USERS_0, |e| {
            e.answers.first_mut().map(|answer| answer.asker.reply_to += 1).is_some()
        })
    }),
    ("another result than the answer", Outcomes, "result for command", |shop| {
        change_record(shop, TopicId::CommandResults, |result: &mut CommandResult| {
            result.code = Code::Internal;
            true
        });
        Planted::default()
    }),
    ("a refusal that has effects", Inputs, "effect of a verdict Refused", |shop| {
        entry(shop, USERS_0, |e| {
            let is_it = is_payment(e);
            e.verdict = if is_it { Verdict::Refused } else { e.verdict };
            is_it
        })
    }),
    ("when an input came", Inputs, "append time", |shop| {
        entry(shop, USERS_0, |e| e.input.as_mut().map(|input| input.at.0 -= 1).is_some())
    }),
    ("an input decided twice", Inputs, "next input", |shop| {
        entry(shop, USERS_0, |e| {
            let input = e.input.as_mut().filter(|input| input.offset > 0);
            input.map(|input| input.offset -= 1).is_some()
        })
    }),
    ("who asked", Inputs, "actor", |shop| {
        entry(shop, USERS_0, |e| {
            e.actor.push('x');
            e.input.is_some()
        })
    }),
    ("a trace", Inputs, "trace id", |shop| {
        entry(shop, USERS_0, |e| {
            e.trace_id = Some(TraceId([1; 16]));
            e.input.is_some()
        })
    }),
    ("a user's name", Inputs, "user ", |shop| {
        entry(shop, USERS_0, |e| first!(e, UserRegistered, c => c.name.push('x')))
    }),
];

const CHAIN: &[Corruption] = &[
    ("a step's number", Journal, "step number", |shop| {
        change_steps(shop, USERS_0, |step| step.number += u64::from(step.number == 5));
        at_step(USERS_0, 6)
    }),
    ("a step's owner", Journal, "owner epoch", |shop| {
        change_steps(shop, USERS_0, |step| step.epoch += u64::from(step.number == 5));
        at_step(USERS_0, 5)
    }),
    ("a step's lane", Journal, "lane of the step", |shop| {
        change_steps(shop, USERS_0, |step| step.lane += u16::from(step.number == 5));
        at_step(USERS_0, 5)
    }),
    ("a bit in a step", Journal, "hash of the previous step", |shop| {
        let (place, mut step) = steps(shop, PRODUCTS_0).swap_remove(4);
        step.entries[0].stamp.0 += 1;
        put_step(shop, place, &step);
        at_step(PRODUCTS_0, step.number + 1)
    }),
    ("positions after a step", Journal, "positions after the step", |shop| {
        change_steps(shop, USERS_0, |step| step.positions.commands += u64::from(step.number == 6));
        at_step(USERS_0, 6)
    }),
    ("messages sent so far", Journal, "message numbers of a peer", |shop| {
        change_steps(shop, PRODUCTS_0, |step| step.peers[0].sent += u64::from(step.number == 6));
        at_step(PRODUCTS_0, 6)
    }),
    ("a lane's revenue", Journal, "Revenue after the step", |shop| {
        let mut number = 0;
        change_steps(shop, USERS_0, |step| {
            let revenue = step.balances.iter_mut().find(|b| b.account == Account::Revenue);
            if let (0, Some(revenue)) = (number, revenue) {
                revenue.balance += 1;
                number = step.number;
            }
        });
        at_step(USERS_0, number)
    }),
    ("an entry's time", Journal, "stamp", |shop| {
        entry(shop, PRODUCTS_0, |e| {
            let is_it = e.input.is_some() && !e.messages.is_empty();
            e.stamp = if is_it { Stamp(e.stamp.0 - 1_000_000) } else { e.stamp };
            is_it
        })
    }),
    ("an entry's number", Journal, "entry sequence", |shop| {
        let (step, sequence) = change_entry(shop, USERS_0, |e| {
            let is_it = is_payment(e);
            e.sequence += if is_it { 50 } else { 0 };
            is_it
        });
        at(USERS_0, (step, sequence + 50))
    }),
    ("a message's number", Journal, "number of a message to lane 0", |shop| {
        entry(shop, USERS_0, |e| e.messages.first_mut().map(|sent| sent.number += 1).is_some())
    }),
    ("a message on its way", Journal, "message 1 to products/0", |shop| {
        change_record(shop, TopicId::ProductInbox, |message: &mut ProductMessage| {
            match &mut message.payload {
                ToProducts::Reserve(reserve) => reserve.lines[0].quantity = Units(9),
                _ => return false,
            }
            true
        });
        in_lane(USERS_0)
    }),
    ("a message that is lost", Journal, "message 1 to products/0", |shop| {
        drop_record(shop, |record| record.topic == TopicId::ProductInbox);
        in_lane(USERS_0)
    }),
];

const ORDERS: &[Corruption] = &[
    ("what an order costs", Orders, "total of order", |shop| {
        entry(shop, USERS_0, |e| is_payment(e) && first!(e, OrderEnded, c => c.total_price.0 += 1))
    }),
    ("until when to pay", Orders, "payment due of order", |shop| {
        entry(shop, USERS_0, |e| first!(e, OrderReserved, c => c.payment_due.0 += 1))
    }),
    ("units that are paid back", Orders, "refund of order", |shop| {
        entry(shop, USERS_0, |e| first!(e, LinesRefunded, c => c.lines[0].quantity = Units(99)))
    }),
    ("the price of a hold", Orders, "price of product", |shop| {
        entry(shop, PRODUCTS_0, |e| first!(e, HoldOpened, c => c.lines[0].price = Won(1)))
    }),
    ("units that come back", Orders, "units back from order", |shop| {
        entry(shop, PRODUCTS_0, |e| first!(e, LinesReturned, c => c.lines[0].quantity.0 += 1))
    }),
    ("what a product lane is told", Orders, "what products/0 is told", |shop| {
        entry(shop, USERS_0, |e| {
            e.messages.iter_mut().any(|sent| match &mut sent.payload {
                Message::Settle(settle) => {
                    settle.sold_at.0 += 1;
                    true
                }
                _ => false,
            })
        })
    }),
    ("what is left in a cart", Carts, "cart of user", |shop| {
        entry(shop, USERS_0, |e| {
            first!(e, CartChanged, c => c.lines.clear()) && e.verdict == Verdict::Accepted
        })
    }),
    ("a sale's units", TopSellers, "sale", |shop| {
        change_record(shop, TopicId::Sales, |sale: &mut Sale| {
            sale.units.0 += 1;
            true
        });
        in_lane(PRODUCTS_0)
    }),
    ("a sale that is told twice", TopSellers, "sale", |shop| {
        double_record(shop, |record| record.topic == TopicId::Sales);
        Planted::default()
    }),
    ("an order event's total", TopSellers, "order event", |shop| {
        change_record(shop, TopicId::OrderEvents, |event: &mut OrderEvent| {
            event.total_price.0 += 1;
            true
        });
        in_lane(USERS_0)
    }),
    ("a best seller's units", TopSellers, "rank 1", |shop| {
        change_record(shop, TopicId::TopProducts, |list: &mut TopProducts| {
            list.products.first_mut().map(|top| top.units.0 += 1).is_some()
        });
        Planted::default()
    }),
];

fn check_all(table: &[Corruption]) {
    for (name, invariant, about, corrupt) in table {
        println!("{name}");
        let mut shop = generous(1);
        let planted = corrupt(&mut shop);
        find(&shop, *invariant, about, planted);
    }
}

#[test]
fn money_and_units() {
    check_all(AMOUNTS);
}

#[test]
fn inputs_and_answers() {
    check_all(ANSWERS);
}

#[test]
fn steps_stamps_and_messages() {
    check_all(CHAIN);
}

#[test]
fn orders_carts_and_sales() {
    check_all(ORDERS);
}

/// What is changed in the files themselves.
type OfFiles = (&'static str, &'static str, fn(&Path));

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("a file");
    change(&mut bytes);
    fs::write(path, bytes).expect("written");
}

/// The segment files, first one first.
fn segments(dir: &Path) -> Vec<std::path::PathBuf> {
    let found = fs::read_dir(dir.join("log")).expect("a directory");
    let mut all: Vec<_> = found.map(|found| found.expect("an entry").path()).collect();
    all.sort();
    all
}

const FACTS: &str = r#"{"format":1,"lanes":2,"createdAt":"7","check":"CHECK"}"#;

const FILES: &[OfFiles] = &[
    ("the number of lanes", "checksum of jupan.json", |dir| {
        edit(&dir.join("jupan.json"), |b| {
            let lanes = b.iter().position(|byte| *byte == b'2').expect("two lanes");
            b[lanes] = b'1';
        });
    }),
    ("when the directory was made", "checksum of jupan.json", |dir| {
        edit(&dir.join("jupan.json"), |b| {
            let made = b.iter().position(|byte| *byte == b'7').expect("a time");
            b[made] = b'8';
        });
    }),
    ("a bit in a frame", "frame", |dir| edit(&segments(dir)[1], |b| b[200] ^= 1)),
    ("a hole in the frames", "frame", |dir| edit(&segments(dir)[2], |b| b[300..600].fill(0))),
    ("a bit in a segment's header", "segment header", |dir| {
        edit(&segments(dir)[3], |b| b[20] ^= 1);
    }),
    ("a segment that is gone", "segment number", |dir| {
        fs::remove_file(&segments(dir)[4]).expect("a file");
    }),
    ("the note of what was durable", "floor", |dir| edit(&dir.join("floor"), |b| b[530] ^= 1)),
    ("the last frame", "frame", |dir| {
        let last = segments(dir).pop().expect("a segment");
        edit(&last, |b| {
            let end = b.iter().rposition(|byte| *byte != 0).expect("frames");
            b[end] ^= 1;
        });
    }),
    ("a segment cut short", "frame", |dir| edit(&segments(dir)[5], |b| b.truncate(900))),
];

/// A sound shop's directory, with a checksum over what was fixed.
fn sound() -> TempDir {
    let dir = stored::save(&generous(2));
    let check = format!("{:08x}", crc32c::crc32c(b"1 2 7"));
    fs::write(dir.path().join("jupan.json"), FACTS.replace("CHECK", &check)).expect("written");
    note_floor(dir.path(), verify_directory(&dir).facts.log_bytes);
    dir
}

#[test]
fn files() {
    let dir = sound();
    let report = verify_directory(&dir);
    assert!(report.is_ok() && report.is_complete, "{}", text(&report));
    for (name, about, corrupt) in FILES {
        let dir = sound();
        corrupt(dir.path());
        let report = run(&options(&dir), &mut |_| {}).expect("a directory that can be read");
        let damage: Option<&Finding> = report.findings.of(Log).next();
        let is_it = damage.is_some_and(|damage| damage.about.contains(about));
        assert!(is_it && !report.is_complete, "{name}\n{}", text(&report));
    }
}

/// Fifty and more, each with a name of its own.
#[test]
fn there_are_more_than_fifty() {
    let journal = [AMOUNTS, ANSWERS, CHAIN, ORDERS].concat().into_iter().map(|(name, ..)| name);
    let files = FILES.iter().map(|(name, ..)| *name);
    let mut all: Vec<&str> = journal.chain(files).collect();
    assert!(all.len() >= 45, "{} in the log", all.len());
    all.extend(corrupted_store::names());
    assert!(all.len() >= 95, "{} in all", all.len());
    let different: BTreeSet<&str> = all.iter().copied().collect();
    assert_eq!(different.len(), all.len(), "a name of its own for each: {all:?}");
}
