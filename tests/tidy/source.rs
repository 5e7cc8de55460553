//! The repository's files, and Rust as far as counting needs it.

use std::{collections::BTreeSet, fmt, fs, path::Path, sync::LazyLock};

/// Something to change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// From 1; 0 for the whole file.
    pub(crate) line: usize,
    pub(crate) rule: &'static str,
    pub(crate) advice: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} [{}]", self.path, self.line, self.advice, self.rule)
    }
}

/// One text file of the repository.
pub(crate) struct File {
    /// From the repository's root on, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text without comments, strings and characters, line for line.
    pub(crate) code: String,
    /// Which lines are tests.
    pub(crate) is_test: Vec<bool>,
}

impl File {
    pub(crate) fn finding(
        &self,
        line: usize,
        rule: &'static str,
        advice: impl Into<String>,
    ) -> Finding {
        Finding { path: self.path.clone(), line, rule, advice: advice.into() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn is_whole_test(&self) -> bool {
        self.is_test.iter().all(|test| *test)
    }

    /// Lines of code outside tests, numbered from 1.
    pub(crate) fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.code.lines().enumerate().filter(|(at, _)| !self.is_test[*at]);
        lines.map(|(at, line)| (at + 1, line))
    }
}

/// The repository.
pub(crate) struct Tree(pub(crate) Vec<File>);

impl Tree {
    pub(crate) fn of(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let files: Vec<_> = files.into_iter().collect();
        let test_modules: BTreeSet<String> =
            files.iter().flat_map(|(path, text)| test_modules(path, &without_text(text))).collect();
        let file = |(path, text): (String, String)| {
            let code = if path.ends_with(".rs") { without_text(&text) } else { text.clone() };
            let whole = is_test_path(&path)
                || test_modules.iter().any(|module| {
                    path == format!("{module}.rs") || path.starts_with(&format!("{module}/"))
                });
            let is_test = if whole { vec![true; code.lines().count()] } else { test_lines(&code) };
            File { path, text, code, is_test }
        };
        Self(files.into_iter().map(file).collect())
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.0.iter().filter(|file| file.is_rust())
    }

    pub(crate) fn find(&self, path: &str) -> Option<&File> {
        self.0.iter().find(|file| file.path == path)
    }
}

pub(crate) static REPOSITORY: LazyLock<Tree> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignored = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
    let mut files = Vec::new();
    walk(root, "", &ignored, &mut files);
    files.sort();
    Tree::of(files)
});

/// Gathers the text files that `.gitignore` does not name.
fn walk(folder: &Path, prefix: &str, ignored: &str, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("the repository can be listed") {
        let entry = entry.expect("the repository can be listed");
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if path == ".git" || ignored.lines().any(|pattern| is_ignored(pattern, &path)) {
            continue;
        }
        if entry.file_type().expect("the repository can be listed").is_dir() {
            walk(&entry.path(), &format!("{path}/"), ignored, files);
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            files.push((path, text));
        }
    }
}

/// As much of `.gitignore` as ours uses: `/path`, `*.suffix` and `name`.
fn is_ignored(pattern: &str, path: &str) -> bool {
    let pattern = pattern.trim().trim_end_matches('/');
    if let Some(anchored) = pattern.strip_prefix('/') {
        return path == anchored;
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    match pattern.strip_prefix('*') {
        Some(suffix) => !suffix.is_empty() && name.ends_with(suffix),
        None => name == pattern,
    }
}

// Reading Rust, as far as counting needs it.

/// The source with comments, strings and characters blanked out, line for line.
fn without_text(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_text(&chars, at).unwrap_or(at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            let blank = |c: &char| if *c == '\n' { '\n' } else { ' ' };
            code.extend(chars[at..end].iter().map(blank));
            at = end;
        }
    }
    code
}

/// Where the comment, string or character that starts here ends.
fn end_of_text(chars: &[char], at: usize) -> Option<usize> {
    let find = |from: usize, wanted: &[char]| {
        let rest = chars.get(from..)?;
        rest.windows(wanted.len()).position(|found| found == wanted).map(|found| from + found)
    };
    let next = chars.get(at + 1).copied().unwrap_or(' ');
    match (chars[at], next) {
        ('/', '/') => Some(find(at, &['\n']).unwrap_or(chars.len())),
        ('/', '*') => Some(find(at + 2, &['*', '/']).map_or(chars.len(), |end| end + 2)),
        ('"', _) => Some(end_of_quote(chars, at, '"')),
        ('\'', '\\') => Some(end_of_quote(chars, at, '\'')),
        ('\'', _) if chars.get(at + 2) == Some(&'\'') => Some(at + 3),
        ('r', '"' | '#') => {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            let open = at + 1 + hashes;
            let close: Vec<char> = std::iter::once('"').chain(vec!['#'; hashes]).collect();
            let is_string = chars.get(open) == Some(&'"');
            is_string.then(|| find(open + 1, &close).map_or(chars.len(), |end| end + close.len()))
        }
        _ => None,
    }
}

fn end_of_quote(chars: &[char], open: usize, quote: char) -> usize {
    let mut at = open + 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// The bytes of the item that starts here: up to its closing brace, or to its semicolon.
fn end_of_item(code: &str, start: usize) -> (usize, bool) {
    let (mut braces, mut others) = (0usize, 0usize);
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => others += 1,
            b')' | b']' => others = others.saturating_sub(1),
            b';' if braces == 0 && others == 0 => return (at, false),
            b'{' => braces += 1,
            b'}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 {
                    return (at, true);
                }
            }
            _ => {}
        }
    }
    (code.len(), false)
}

pub(crate) fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

pub(crate) fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where the pattern stands in the code, not as the end of a longer name.
pub(crate) fn places<'a>(code: &'a str, pattern: &'a str) -> impl Iterator<Item = usize> + 'a {
    let found = code.match_indices(pattern).map(|(at, _)| at);
    found.filter(move |at| {
        !pattern.starts_with(is_name) || !code[..*at].chars().next_back().is_some_and(is_name)
    })
}

/// Name, first and last line of every function with a body.
pub(crate) fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let mut functions = Vec::new();
    for at in places(code, "fn ") {
        let name: String = code[at + 3..].chars().take_while(|c| is_name(*c)).collect();
        if let (end, true) = end_of_item(code, at)
            && !name.is_empty()
        {
            functions.push((name, line_of(code, at), line_of(code, end)));
        }
    }
    functions
}

const TEST_ATTRIBUTE: &str = "#[cfg(test)]";

/// Which lines stand behind `#[cfg(test)]`.
fn test_lines(code: &str) -> Vec<bool> {
    let mut is_test = vec![false; code.lines().count()];
    for (at, _) in code.match_indices(TEST_ATTRIBUTE) {
        let (end, _) = end_of_item(code, at + TEST_ATTRIBUTE.len());
        let lines = line_of(code, at) - 1..line_of(code, end).min(is_test.len());
        is_test[lines].fill(true);
    }
    is_test
}

/// The files, without `.rs`, that the test modules of this file are in.
fn test_modules(path: &str, code: &str) -> Vec<String> {
    let stem = path.trim_end_matches(".rs");
    let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
    let base = if matches!(name, "lib" | "main" | "mod") { folder } else { stem };
    let module = |(at, _): (usize, &str)| {
        let item = code[at + TEST_ATTRIBUTE.len()..].split_once(';')?.0;
        let words: Vec<&str> = item.split_whitespace().collect();
        match words[..] {
            ["mod", name] | ["pub", "mod", name] | ["pub(crate)", "mod", name] => {
                Some(format!("{base}/{name}"))
            }
            _ => None,
        }
    };
    code.match_indices(TEST_ATTRIBUTE).filter_map(module).collect()
}

fn is_test_path(path: &str) -> bool {
    let mut parts = path.split('/');
    path.ends_with("/tests.rs") || parts.any(|part| part == "tests" || part == "benches")
}
