//! As much of a shell and of curl as the API's paper uses.

use std::collections::BTreeMap;

/// A call that a paper shows, and what it says is answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Example {
    pub(crate) line: usize,
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
    pub(crate) status: u16,
    pub(crate) answer: String,
}

/// Reads the lines of a block: assignments, calls, and behind each call `# STATUS BODY`.
///
/// # Errors
/// The line that is neither, with the reason.
pub(crate) fn read(
    first: usize,
    lines: &[&str],
    variables: &mut BTreeMap<String, String>,
) -> Result<Vec<Example>, String> {
    let (mut examples, mut lines) = (Vec::new(), (first..).zip(lines));
    while let Some((at, line)) = lines.next() {
        if let Some((name, value)) = line.split_once('=').filter(|(name, _)| is_name(name)) {
            let value = words(value, variables).concat();
            variables.insert(name.to_owned(), value);
            continue;
        }
        let words = words(line, variables);
        if words.first().map(String::as_str) != Some("curl") {
            continue;
        }
        let answer = lines.next().and_then(|(_, line)| line.strip_prefix("# ")?.split_once(' '));
        let (status, answer) = answer.ok_or_else(|| format!("line {at}: its answer is missing"))?;
        let status = status.parse().map_err(|_| format!("line {at}: {status:?} is no status"))?;
        examples.push(call(at, &words, (status, answer))?);
    }
    Ok(examples)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase())
}

fn call(line: usize, words: &[String], (status, answer): (u16, &str)) -> Result<Example, String> {
    let (method, url, answer) = (String::new(), String::new(), answer.to_owned());
    let mut example =
        Example { line, method, url, headers: Vec::new(), body: None, status, answer };
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        let mut value =
            || words.next().cloned().ok_or_else(|| format!("line {line}: {word} what?"));
        match word.as_str() {
            "-X" => example.method = value()?,
            "-d" => example.body = Some(value()?),
            "-H" => {
                let header = value()?;
                let (name, value) =
                    header.split_once(": ").ok_or_else(|| format!("line {line}: no header"))?;
                example.headers.push((name.to_owned(), value.to_owned()));
            }
            url if url.starts_with("http") && example.url.is_empty() => {
                url.clone_into(&mut example.url);
            }
            other => return Err(format!("line {line}: what is {other:?}?")),
        }
    }
    if example.method.is_empty() {
        example.method = if example.body.is_some() { "POST" } else { "GET" }.to_owned();
    }
    Ok(example)
}

/// A line's words, without their quotes and with the values of variables.
fn words(line: &str, variables: &BTreeMap<String, String>) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut quote = None;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, quote) {
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            (' ', None) => words.extend(word.take()),
            ('$', None | Some('"')) => {
                let mut name = String::new();
                while let Some(c) = rest.next_if(char::is_ascii_lowercase) {
                    name.push(c);
                }
                let value = variables.get(&name).map_or("", String::as_str);
                word.get_or_insert_default().push_str(value);
            }
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn calls_are_read_as_a_shell_reads_them() {
    let mut variables = BTreeMap::new();
    let lines = [
        "url=http://x",
        "json='A: b c'",
        "cargo run",
        r#"curl "$url/a?b=1&c=$json" -H "$json" -H 'P: $json' -d '{"a":"b c"}'"#,
        "# 201 {}",
        "curl -X DELETE $url/a",
        "# 404 {} more",
    ];
    let examples = read(10, &lines, &mut variables).expect("they can be read");
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let first = Example {
        line: 13,
        method: "POST".to_owned(),
        url: "http://x/a?b=1&c=A: b c".to_owned(),
        headers: vec![header("A", "b c"), header("P", "$json")],
        body: Some(r#"{"a":"b c"}"#.to_owned()),
        status: 201,
        answer: "{}".to_owned(),
    };
    let second = Example {
        line: 15,
        method: "DELETE".to_owned(),
        url: "http://x/a".to_owned(),
        headers: Vec::new(),
        body: None,
        status: 404,
        answer: "{} more".to_owned(),
    };
    assert_eq!(examples, [first, second]);
    for wrong in [&["curl $url/a"][..], &["curl $url/a", "# {}"], &["curl -z $url/a", "# 200 {}"]] {
        assert!(read(1, wrong, &mut variables).is_err(), "{wrong:?}");
    }
}
