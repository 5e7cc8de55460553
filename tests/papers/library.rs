//! The repository's files, and Markdown as far as the papers use it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::Path,
    sync::{Arc, LazyLock, OnceLock},
};

/// Something to mend, in a paper or in what it tells of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// From 1; 0 for the whole file.
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// The repository's text files, and the paths of everything that is there.
#[derive(Clone, Default)]
pub(crate) struct Library {
    texts: BTreeMap<String, Arc<str>>,
    paths: Arc<BTreeSet<String>>,
    /// Every word of the code, gathered once.
    words: Arc<OnceLock<BTreeSet<String>>>,
}

pub(crate) static REPOSITORY: LazyLock<Library> = LazyLock::new(|| {
    let mut library = Library::default();
    let mut paths = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignored = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
    let ignored: Vec<&str> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    library.walk(root, "", &ignored, &mut paths);
    Library { paths: Arc::new(paths), ..library }
});

impl Library {
    fn walk(
        &mut self,
        folder: &Path,
        prefix: &str,
        ignored: &[&str],
        paths: &mut BTreeSet<String>,
    ) {
        for entry in fs::read_dir(folder).expect("the repository can be listed") {
            let entry = entry.expect("the repository can be listed");
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == ".git" || ignored.contains(&name.as_str()) {
                continue;
            }
            let path = format!("{prefix}{name}");
            if entry.file_type().expect("the repository can be listed").is_dir() {
                self.walk(&entry.path(), &format!("{path}/"), ignored, paths);
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                self.texts.insert(path.clone(), text.into());
            }
            paths.insert(path);
        }
    }

    /// A file that the papers tell of. That it is not there any more is a drift, too.
    pub(crate) fn text(&self, path: &str) -> &str {
        self.texts.get(path).unwrap_or_else(|| panic!("{path} is not there: mend tests/papers"))
    }

    /// A file or a folder.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.paths.contains(path.trim_end_matches('/'))
    }

    fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(path, text)| (path.as_str(), text.as_ref()))
    }

    /// All papers, and both front doors.
    pub(crate) fn papers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all()
            .filter(|(path, _)| is_paper(path) || matches!(*path, "README.md" | "README.ko.md"))
    }

    /// Files below a folder (or the file itself) that end like this.
    pub(crate) fn below<'a>(
        &'a self,
        place: &'a str,
        end: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.all().filter(move |(path, _)| {
            let inside = path
                .strip_prefix(place)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || place.is_empty());
            inside && path.ends_with(end)
        })
    }

    /// The same repository with one place of one file changed: a planted drift.
    pub(crate) fn with(&self, path: &str, from: &str, to: &str) -> Self {
        assert!(self.text(path).contains(from), "{path} has no {from:?}: plant something else");
        let mut changed = self.clone();
        changed.texts.insert(path.to_owned(), self.text(path).replacen(from, to, 1).into());
        if !path.ends_with(".md") {
            changed.words = Arc::default();
        }
        changed
    }

    /// Every word of the code, where code is what this test does not bring itself.
    pub(crate) fn words(&self) -> &BTreeSet<String> {
        const ENDS: [&str; 6] = [".rs", ".toml", ".js", ".avsc", ".py", "scripts/test"];
        self.words.get_or_init(|| {
            let files = self.all().filter(|(path, _)| {
                !path.starts_with("tests/papers") && ENDS.iter().any(|end| path.ends_with(end))
            });
            let words = files.flat_map(|(_, text)| text.split(|c| !is_name(c)));
            words.map(str::to_owned).collect()
        })
    }
}

/// Whether it is one of the papers in `docs`.
pub(crate) fn is_paper(path: &str) -> bool {
    path.strip_prefix("docs/").is_some_and(|rest| rest.ends_with(".md"))
}

/// A fenced block, with the line that it begins in.
pub(crate) struct Block<'a> {
    pub(crate) line: usize,
    pub(crate) language: &'a str,
    pub(crate) lines: Vec<&'a str>,
}

/// Lines outside of fences, and the fenced blocks.
pub(crate) fn split(text: &str) -> (Vec<(usize, &str)>, Vec<Block<'_>>) {
    let (mut prose, mut blocks) = (Vec::new(), Vec::<Block<'_>>::new());
    let mut is_open = false;
    for (at, line) in text.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if is_open => is_open = false,
            Some(language) => {
                is_open = true;
                blocks.push(Block { line: at + 1, language: language.trim(), lines: Vec::new() });
            }
            None if is_open => blocks.last_mut().expect("a block is open").lines.push(line),
            None => prose.push((at + 1, line)),
        }
    }
    assert!(!is_open, "a fence is not closed");
    (prose, blocks)
}

/// The fenced blocks of one language.
pub(crate) fn blocks<'a>(text: &'a str, language: &str) -> Vec<Block<'a>> {
    let (_, blocks) = split(text);
    blocks.into_iter().filter(|block| block.language == language).collect()
}

/// What stands between backticks in a line.
pub(crate) fn spans_of(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// Everything between backticks, outside of fences.
pub(crate) fn spans(text: &str) -> Vec<(usize, &str)> {
    let (prose, _) = split(text);
    let of_line = |(at, line)| spans_of(line).into_iter().map(move |span| (at, span));
    prose.into_iter().flat_map(of_line).collect()
}

/// A row of a table: its line, and its cells.
pub(crate) type TableRow<'a> = (usize, Vec<&'a str>);

/// A table.
pub(crate) struct Table<'a> {
    pub(crate) line: usize,
    pub(crate) header: Vec<&'a str>,
    pub(crate) rows: Vec<TableRow<'a>>,
}

/// All tables.
pub(crate) fn tables(text: &str) -> Vec<Table<'_>> {
    let (prose, _) = split(text);
    let (mut tables, mut last) = (Vec::<Table<'_>>::new(), 0);
    for (at, line) in prose.into_iter().filter(|(_, line)| line.starts_with('|')) {
        let cells = cells(line);
        if at != last + 1 {
            tables.push(Table { line: at, header: cells, rows: Vec::new() });
        } else if !cells.iter().all(|cell| cell.chars().all(|c| c == '-')) {
            tables.last_mut().expect("a table has begun").rows.push((at, cells));
        }
        last = at;
    }
    tables
}

/// Tables whose header begins like this.
pub(crate) fn tables_of<'a>(text: &'a str, header: &[&str]) -> Vec<Table<'a>> {
    tables(text).into_iter().filter(|table| table.header.starts_with(header)).collect()
}

/// The cells of a table's line; `\|` is no border.
fn cells(line: &str) -> Vec<&str> {
    let line = line.trim().trim_start_matches('|');
    let (mut cells, mut start, mut before) = (Vec::new(), 0, ' ');
    for (at, c) in line.char_indices() {
        if c == '|' && before != '\\' {
            cells.push(line[start..at].trim());
            start = at + 1;
        }
        before = c;
    }
    cells
}

/// Links and images: line, label, target.
pub(crate) fn links(text: &str) -> Vec<(usize, &str, &str)> {
    let mut links = Vec::new();
    let (prose, _) = split(text);
    for (at, line) in prose {
        for (middle, _) in line.match_indices("](") {
            let label = line[..middle].rsplit('[').next().unwrap_or_default();
            if let Some((target, _)) = line[middle + 2..].split_once(')') {
                links.push((at, label, target));
            }
        }
    }
    links
}

/// The anchors that GitHub makes of headings.
pub(crate) fn anchors(text: &str) -> BTreeSet<String> {
    let (prose, _) = split(text);
    let headings = prose.into_iter().filter(|(_, line)| line.starts_with('#'));
    let slug = |(_, line): (usize, &str)| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(slug).collect()
}

pub(crate) fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether the text has this word, not as a part of a longer name.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        !before.is_some_and(is_name) && !after.is_some_and(is_name)
    })
}
