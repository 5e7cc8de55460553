//! Mermaid as far as the papers use it: every line must be of a form that its kind of diagram has,
//! blocks must be closed, and what is pointed at must be there.

use crate::library::{Block, is_name};
use std::collections::BTreeSet;

/// What is wrong with a diagram, line by line.
pub(crate) fn faults(block: &Block<'_>) -> Vec<(usize, String)> {
    let mut lines = block.lines.iter().enumerate().map(|(at, line)| (block.line + 1 + at, *line));
    let kind = lines.next().map_or("", |(_, line)| line);
    let lines: Vec<(usize, &str)> =
        lines.map(|(at, line)| (at, line.trim())).filter(|(_, line)| !line.is_empty()).collect();
    let mut faults: Vec<_> = lines.iter().filter_map(|(at, line)| unbalanced(*at, line)).collect();
    match kind {
        "sequenceDiagram" => sequence(&lines, &mut faults),
        "stateDiagram-v2" => states(&lines, &mut faults),
        "erDiagram" => entities(&lines, &mut faults),
        "flowchart LR" | "flowchart TD" => flow(&lines, &mut faults),
        _ => {
            faults.push((block.line, format!("{kind:?} is no kind of diagram that is known here")));
        }
    }
    faults
}

fn unbalanced(at: usize, line: &str) -> Option<(usize, String)> {
    // A relation's crow's foot and an entity's opening brace are no brackets.
    let line = if line.contains("--") && line.contains("o{") { "" } else { line };
    let line = line.replace("|{", "");
    let line = line.trim_end_matches('{').trim_start_matches('}');
    let odd = |c: char| line.matches(c).count() % 2 == 1;
    let uneven = |open: char, close: char| {
        // `[from, to)` is an interval, not a bracket that was left open.
        let is_interval = line.contains(" [") && line.contains(')');
        !is_interval && line.matches(open).count() != line.matches(close).count()
    };
    let is_bad = odd('"') || uneven('(', ')') || uneven('[', ']') || uneven('{', '}');
    is_bad.then(|| (at, "quotes or brackets are not balanced".to_owned()))
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_name)
}

/// Counts what opens and what ends.
fn depth(
    lines: &[(usize, &str)],
    opens: impl Fn(&str) -> bool,
    end: &str,
    faults: &mut Vec<(usize, String)>,
) {
    let mut open = Vec::new();
    for (at, line) in lines {
        if opens(line) {
            open.push(*at);
        } else if *line == end && open.pop().is_none() {
            faults.push((*at, format!("{end:?} ends nothing")));
        }
    }
    faults.extend(open.into_iter().map(|at| (at, "is never ended".to_owned())));
}

fn sequence(lines: &[(usize, &str)], faults: &mut Vec<(usize, String)>) {
    let first = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let opens = |line: &str| matches!(first(line).as_str(), "alt" | "opt" | "loop" | "par");
    depth(lines, opens, "end", faults);
    let mut known = BTreeSet::new();
    for (at, line) in lines {
        if let Some(rest) = line.strip_prefix("participant ") {
            let (id, name) = rest.split_once(" as ").unwrap_or((rest, rest));
            if !is_id(id) || name.is_empty() {
                faults.push((*at, "a participant has an id and a name".to_owned()));
            }
            known.insert(id);
        } else if opens(line) || matches!(first(line).as_str(), "else" | "and" | "end") {
            continue;
        } else {
            match message(line) {
                Some((from, to, text)) if !text.is_empty() && !text.contains([';', '#']) => {
                    for id in [from, to].into_iter().filter(|id| !known.contains(id)) {
                        faults.push((*at, format!("{id:?} is no participant")));
                    }
                }
                _ => faults.push((*at, "no message, no participant and no block".to_owned())),
            }
        }
    }
}

/// `A->>B: text`, or with the dashed arrow.
fn message(line: &str) -> Option<(&str, &str, &str)> {
    let (from, rest) = line.split_once("-->>").or_else(|| line.split_once("->>"))?;
    let (to, text) = rest.split_once(": ")?;
    (is_id(from) && is_id(to)).then_some((from, to, text))
}

fn states(lines: &[(usize, &str)], faults: &mut Vec<(usize, String)>) {
    for (at, line) in lines {
        let is_alias = line.strip_prefix("state \"").is_some_and(|rest| {
            rest.split_once("\" as ").is_some_and(|(name, id)| !name.is_empty() && is_id(id))
        });
        let is_transition = transition(line)
            .is_some_and(|(from, to, _)| [from, to].into_iter().all(|id| is_id(id) || id == "[*]"));
        if !is_alias && !is_transition && *line != "direction LR" {
            faults.push((*at, "no state and no transition".to_owned()));
        }
    }
}

/// `from --> to : text`
pub(crate) fn transition(line: &str) -> Option<(&str, &str, &str)> {
    let (from, rest) = line.split_once(" --> ")?;
    let (to, text) = rest.split_once(" : ").unwrap_or((rest, ""));
    Some((from.trim(), to, text))
}

/// Entities by name, with name and type of their attributes.
pub(crate) fn attributes<'a>(
    lines: impl IntoIterator<Item = &'a str>,
) -> Vec<(&'a str, Vec<(&'a str, &'a str)>)> {
    let mut entities: Vec<(&str, Vec<_>)> = Vec::new();
    let mut is_open = false;
    for line in lines {
        if let Some(name) = line.trim().strip_suffix(" {") {
            entities.push((name, Vec::new()));
            is_open = true;
        } else if line.trim() == "}" {
            is_open = false;
        } else if is_open {
            let mut words = line.split_whitespace();
            if let (Some(kind), Some(name)) = (words.next(), words.next()) {
                entities.last_mut().expect("an entity is open").1.push((name, kind));
            }
        }
    }
    entities
}

fn entities(lines: &[(usize, &str)], faults: &mut Vec<(usize, String)>) {
    const ENDS: [[&str; 4]; 2] = [["||", "|o", "}o", "}|"], ["||", "o|", "o{", "|{"]];
    depth(lines, |line| line.ends_with(" {"), "}", faults);
    let declared: BTreeSet<&str> =
        attributes(lines.iter().map(|(_, line)| *line)).into_iter().map(|(name, _)| name).collect();
    let mut is_open = false;
    for (at, line) in lines {
        if line.ends_with('{') || *line == "}" {
            is_open = *line != "}";
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        if is_open {
            let rest = words.get(2..).unwrap_or_default().join(" ");
            let rest =
                rest.strip_prefix("PK").or_else(|| rest.strip_prefix("FK")).unwrap_or(&rest).trim();
            let is_note = rest.is_empty() || (rest.starts_with('"') && rest.ends_with('"'));
            if words.len() < 2 || !is_note {
                faults.push((*at, "an attribute is: type name [PK or FK] [\"note\"]".to_owned()));
            }
            continue;
        }
        let is_relation = words.len() > 4 && words[3] == ":" && {
            let halves = words[1].split_once("--");
            halves.is_some_and(|(from, to)| ENDS[0].contains(&from) && ENDS[1].contains(&to))
        };
        if !is_relation {
            faults.push((*at, "no entity and no relation".to_owned()));
        }
        for name in [words.first(), words.get(2)].into_iter().flatten() {
            if is_relation && !declared.contains(name) {
                faults.push((*at, format!("{name} is no entity of this diagram")));
            }
        }
    }
}

/// The arrows of a flow chart, from id to id.
pub(crate) fn arrows<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<(&'a str, &'a str)> {
    let id = |text: &'a str| {
        let text = text.trim();
        // The text on an arrow stands before its target.
        let text = text
            .strip_prefix('|')
            .map_or(text, |rest| rest.split_once('|').map_or(rest, |(_, target)| target));
        text.split('[').next().unwrap_or_default().trim()
    };
    let arrow = |line: &'a str| {
        let (from, to) = line.split_once(" -->")?;
        Some((id(from), id(to)))
    };
    lines.into_iter().filter_map(arrow).collect()
}

fn flow(lines: &[(usize, &str)], faults: &mut Vec<(usize, String)>) {
    depth(lines, |line| line.starts_with("subgraph "), "end", faults);
    let text: String = lines.iter().flat_map(|(_, line)| [*line, "\n"]).collect();
    for (at, line) in lines.iter().filter(|(_, line)| !line.starts_with("subgraph ")) {
        if *line == "end" || (line.contains("[\"") && !line.contains("-->")) {
            continue;
        }
        let arrows = arrows([*line]);
        if arrows.is_empty() {
            faults.push((*at, "no node, no arrow and no group".to_owned()));
        }
        for (from, to) in arrows {
            for id in [from, to] {
                if !is_id(id) || !text.contains(&format!("{id}[\"")) {
                    faults.push((*at, format!("{id:?} is no node that has a name")));
                }
            }
        }
    }
}
