//! Reads the project's own source files, and tells code from comments, strings and tests.

use std::fs;
use std::path::{Path, PathBuf};

/// One source file, as a rule sees it.
pub(super) struct Source {
    /// Path from the root of the repository, with `/` between the parts.
    pub(super) path: String,
    /// The file as it is.
    pub(super) text: String,
    /// The file with comments, what stands in strings, and tests blanked out; line by line the same.
    pub(super) code: String,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Source {
        let code = without_tests(&without_words(text));
        Source { path: path.to_owned(), text: text.to_owned(), code }
    }

    /// The folder of `src/` that holds the file, if it is one of the package's own.
    pub(super) fn folder(&self) -> Option<&str> {
        self.path.strip_prefix("src/")?.split_once('/').map(|(folder, _)| folder)
    }
}

/// The root of the repository.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A text file of the repository.
pub(super) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every `.rs` file under these folders, sorted by path. Files that are tests as a whole are left out.
pub(super) fn sources(folders: &[&str]) -> Vec<Source> {
    let mut paths: Vec<_> = folders.iter().flat_map(|folder| files(&root().join(folder))).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "rs"));
    paths.sort();
    let all: Vec<_> = paths.iter().map(|path| relative(path)).collect();
    let all: Vec<_> = all.iter().map(|path| Source::new(path, &read(path))).collect();
    let tests: Vec<_> = all.iter().flat_map(test_modules).collect();
    all.into_iter().filter(|source| !tests.iter().any(|test| test.holds(&source.path))).collect()
}

/// Every file under a folder, hidden ones left out. A folder that is not there has none.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a folder of the repository can be listed").path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        match path.is_dir() {
            _ if hidden => {}
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

fn relative(path: &Path) -> String {
    let path = path.strip_prefix(root()).expect("the file lies in the repository");
    path.to_string_lossy().replace('\\', "/")
}

/// A module that only tests have: `#[cfg(test)] mod name;`.
struct TestModule(String);

impl TestModule {
    fn holds(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.0.as_str());
        rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }
}

fn test_modules(source: &Source) -> Vec<TestModule> {
    let path = source.path.trim_end_matches(".rs");
    let folder = match path.rsplit_once('/') {
        Some((folder, "mod" | "lib" | "main")) => folder,
        _ => path,
    };
    let named = without_words(&source.text);
    let mut found = Vec::new();
    for after in named.split("#[cfg(test)]").skip(1) {
        let item = after.trim_start().trim_start_matches("pub(crate) ").trim_start();
        if let Some((name, _)) = item.strip_prefix("mod ").and_then(|rest| rest.split_once(';'))
            && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        {
            found.push(TestModule(format!("{folder}/{name}")));
        }
    }
    found
}

/// Blanks comments and what stands in strings and characters; quotes and line ends stay.
fn without_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (kept, length) = word(rest, out.chars().next_back());
        if length == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.push_str(kept);
            out.extend(rest[..length].chars().filter(|&c| c == '\n'));
            out.push_str(kept);
            rest = &rest[length..];
        }
    }
    out
}

/// What stands at the start of the text if it is no code: the quote to keep, and its length in bytes.
fn word(text: &str, before: Option<char>) -> (&'static str, usize) {
    let until = |end: &str, from: usize| {
        text[from..].find(end).map_or(text.len(), |at| from + at + end.len())
    };
    if text.starts_with("//") {
        return ("", text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return ("", block_comment(text));
    }
    if text.starts_with('"') {
        return ("\"", string(text));
    }
    let in_name = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if !in_name && (text.starts_with('r') || text.starts_with("br")) {
        let marks = text.trim_start_matches(['b', 'r']);
        let hashes: String = marks.chars().take_while(|&c| c == '#').collect();
        let opening = text.find('"').filter(|&at| text[at..] == marks[hashes.len()..]);
        if let Some(at) = opening {
            return ("\"", until(&format!("\"{hashes}"), at + 1));
        }
    }
    ("", character(text))
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        match text.as_bytes()[at..] {
            [b'/', b'*', ..] => depth += 1,
            [b'*', b'/', ..] => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal; 0 for a lifetime and for all else.
fn character(text: &str) -> usize {
    let Some(inside) = text.strip_prefix('\'') else { return 0 };
    let Some(first) = inside.chars().next() else { return 0 };
    if first == '\\' {
        return inside[2..].find('\'').map_or(0, |at| at + 4);
    }
    if inside[first.len_utf8()..].starts_with('\'') { first.len_utf8() + 2 } else { 0 }
}

/// Blanks every item that stands behind `#[cfg(test)]` or `#[test]`.
fn without_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = ["#[cfg(test)]", "#[test]"].iter().filter_map(|mark| rest.find(mark)).min()
    {
        let length = item(&rest[at..]);
        out.push_str(&rest[..at]);
        out.extend(rest[at..at + length].chars().filter(|&c| c == '\n'));
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    out
}

/// The length of an item with its attributes: up to its `;`, or to the end of its braces.
fn item(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && (byte == b';' || byte == b'}') {
            return at + 1;
        }
    }
    code.len()
}

#[test]
fn comments_strings_and_tests_are_no_code() {
    let text = r##"
fn a() { let b = "panic!()"; } // panic!()
/* panic!() /* panic!() */ panic!() */ fn c<'a>(d: &'a str) -> char { '"' }
const E: &str = r#"panic!() " panic!()"#; const F: u8 = b'\''; const G: &str = "\" panic!()";
#[cfg(test)]
mod tests { fn h() { panic!() } }
fn kept() {}
"##;
    let source = Source::new("src/a.rs", text);
    assert!(!source.code.contains("panic"), "{}", source.code);
    assert!(source.code.contains("fn c<'a>(d: &'a str)") && source.code.contains("fn kept()"));
    assert_eq!(source.code.lines().count(), text.lines().count());
}

#[test]
fn a_file_that_only_tests_declare_is_known() {
    let source = Source::new("src/query/mod.rs", "mod parse;\n#[cfg(test)]\nmod tests;\n");
    let tests = test_modules(&source);
    assert!(tests.iter().any(|test| test.holds("src/query/tests.rs")));
    assert!(tests.iter().any(|test| test.holds("src/query/tests/slow.rs")));
    assert!(!tests.iter().any(|test| test.holds("src/query/parse.rs")));
}
