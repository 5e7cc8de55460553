//! `list` and `show`: letters for people, or as JSON lines.

use super::{
    ListOptions, ShowOptions,
    desk::Desk,
    letters::{Letter, Mark, marks},
    standing::{Reading, Standing, judge, read},
};
use crate::{FINE, FOUND_A_FAULT};
use jiff::Timestamp;
use jupan_schemas::{Codec, Micros, TopicId};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{Write, stdout},
};

/// Bytes in a line of `show`.
const DUMP_LINE_BYTES: usize = 16;

/// Tells the letters; the exit code.
///
/// # Errors
/// Where they cannot be read or told.
pub(super) fn list(options: &ListOptions) -> anyhow::Result<u8> {
    let desk = Desk::open(&options.place)?;
    let (marks, codec, now) = (marks(&desk)?, desk.codec(), desk.now());
    let (mut told, mut is_more) = (0, false);
    let mut out = stdout().lock();
    desk.each(TopicId::DeadLetters, options.from, &mut |record| {
        let letter = Letter::from(record);
        let mark = marks.get(&letter.number);
        if !options.filter.lets(&letter) || (mark.is_some() && !options.all) {
            return Ok(true);
        }
        if told == options.limit {
            is_more = true;
            return Ok(false);
        }
        told += 1;
        let standing = standing(mark, &codec, &letter, desk.lanes(), now);
        match options.place.json {
            true => writeln!(out, "{}", as_json(&letter, &standing))?,
            false => writeln!(out, "{}", line(&letter, &standing))?,
        }
        Ok(true)
    })?;
    if !options.place.json {
        let more = if is_more { ", and there are more: --limit, --from" } else { "" };
        writeln!(out, "{told} letters{more}")?;
    }
    Ok(FINE)
}

/// Tells one letter; the exit code.
///
/// # Errors
/// Where it cannot be read or told.
pub(super) fn show(options: &ShowOptions) -> anyhow::Result<u8> {
    let desk = Desk::open(&options.place)?;
    let Some(letter) = find(&desk, options.letter)? else {
        eprintln!("jupan dlq: there is no letter {}", options.letter);
        return Ok(FOUND_A_FAULT);
    };
    let (marks, codec): (BTreeMap<u64, Mark>, Codec) = (marks(&desk)?, desk.codec());
    let mark = marks.get(&letter.number);
    let standing = standing(mark, &codec, &letter, desk.lanes(), desk.now());
    let content = content(&codec, &letter);
    let mut out = stdout().lock();
    if options.place.json {
        let mut told = as_json(&letter, &standing);
        told["content"] = content.unwrap_or(Value::Null);
        told["key"] = json!(hex(&letter.key));
        told["value"] = json!(hex(&letter.value));
        writeln!(out, "{told}")?;
        return Ok(FINE);
    }
    writeln!(out, "{}", line(&letter, &standing))?;
    writeln!(out, "cause: {}", shown(&letter.cause))?;
    writeln!(out, "key: {}", letter.key.escape_ascii())?;
    if letter.redrives > 0 {
        writeln!(out, "sent again: {} times", letter.redrives)?;
    }
    if let Some(content) = content {
        writeln!(out, "content: {content:#}")?;
    }
    write!(out, "{}", dump(&letter.value))?;
    Ok(FINE)
}

/// The letter with this number, if the log has it.
///
/// # Errors
/// Where the log cannot be read.
pub(super) fn find(desk: &Desk, number: u64) -> anyhow::Result<Option<Letter>> {
    let mut found = None;
    desk.each(TopicId::DeadLetters, number, &mut |record| {
        found = (record.offset == number).then(|| record.into());
        Ok(false)
    })?;
    Ok(found)
}

/// Where a letter stands.
pub(super) fn standing(
    mark: Option<&Mark>,
    codec: &Codec,
    letter: &Letter,
    lanes: u16,
    now: Micros,
) -> Standing {
    match mark {
        Some(mark) => Standing::Marked(mark.clone()),
        None => judge(codec, letter, lanes, now),
    }
}

fn time(at: Micros) -> String {
    Timestamp::from_microsecond(at.0).map_or_else(|_| at.0.to_string(), |time| time.to_string())
}

/// Text of a record, which anybody may have written: nothing of it steers a terminal.
fn shown(text: &str) -> String {
    text.escape_debug().to_string()
}

fn line(letter: &Letter, standing: &Standing) -> String {
    let Letter { number, at, code, origin, value, .. } = letter;
    format!(
        "{number:>8}  {at}  {code:16}  {origin}  {bytes} bytes  {standing}",
        at = time(*at),
        code = shown(code),
        origin = shown(&origin.to_string()),
        bytes = value.len(),
        standing = shown(&standing.to_string()),
    )
}

fn as_json(letter: &Letter, standing: &Standing) -> Value {
    let mut told = json!({
        "letter": letter.number,
        "at": time(letter.at),
        "code": letter.code,
        "cause": letter.cause,
        "topic": letter.origin.topic,
        "partition": letter.origin.partition,
        "offset": letter.origin.offset,
        "redrives": letter.redrives,
        "bytes": letter.value.len(),
        "standing": standing.word(),
        "told": standing.to_string(),
    });
    match standing {
        Standing::Usable(home) => told["commandId"] = json!(home.command_id.to_string()),
        Standing::Marked(mark) => {
            told["markedAt"] = json!(time(mark.at));
            told["actor"] = json!(mark.actor);
        }
        Standing::Useless(_) => {}
    }
    told
}

/// What a readable letter says.
fn content(codec: &Codec, letter: &Letter) -> Option<Value> {
    match read(codec, &letter.value) {
        Ok(Reading::User(command)) => serde_json::to_value(command).ok(),
        Ok(Reading::Product(command)) => serde_json::to_value(command).ok(),
        Ok(Reading::Message) | Err(_) => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes as numbers and, where they are, as letters.
fn dump(bytes: &[u8]) -> String {
    let lines = bytes.chunks(DUMP_LINE_BYTES).zip((0..).step_by(DUMP_LINE_BYTES));
    lines.fold(String::new(), |mut text, (line, at): (_, usize)| {
        let numbers: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        let letters: String =
            line.iter().map(|byte| if printable(byte) { char::from(*byte) } else { '.' }).collect();
        let _ = writeln!(text, "{at:06x}  {:47}  {letters}", numbers.join(" "));
        text
    })
}
