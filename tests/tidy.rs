//! The house rules that no compiler holds. Each rule is a function from sources to complaints;
//! one test asks it of the tree, another shows that it complains when it should.

mod readme;
mod source;

use source::{Source, files, read, root, sources};

/// Folders of `src/`, from the ground up. A folder may use those above it in this table, and the
/// crate `sightword-index`; never its own row, never a row below. This is the architecture.
const LAYERS: &[&[&str]] = &[
    &["ingest"],
    &["encode", "evidence"],
    &["query", "rerank"],
    &["collection"],
    &["wire"],
    &["eval", "serve"],
    &["train"],
    &["cli"],
];

/// Lines that a file may have.
const LONGEST_FILE: usize = 600;

/// Who may write to the terminal.
const PRINTERS: &[&str] = &["src/cli/", "src/main.rs"];

/// Where `unsafe` may stand: the matrix kernels, memory maps, SIMD. Everything else is safe Rust.
const UNSAFE: &[&str] =
    &["src/encode/ops/multiply.rs", "src/encode/ops/dot.rs", "index/src/exec/simd/"];

type Rule = fn(&Source) -> Vec<String>;

#[track_caller]
fn assert_clean(rule: Rule, folders: &[&str]) {
    let complaints: Vec<_> = sources(folders).iter().flat_map(rule).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[track_caller]
fn assert_complains(rule: Rule, path: &str, text: &str, about: &str) {
    let complaints = rule(&Source::new(path, text)).join("\n");
    assert!(complaints.contains(about), "'{about}' is not in the complaints: '{complaints}'");
}

#[track_caller]
fn assert_silent(rule: Rule, path: &str, text: &str) {
    assert_eq!(rule(&Source::new(path, text)), Vec::<String>::new());
}

// Dependencies

#[test]
fn folders_depend_only_downwards() {
    assert_clean(upward_uses, &["src"]);
}

#[test]
fn a_use_that_goes_up_or_sideways_is_noticed() {
    let rule = upward_uses;
    assert_complains(
        rule,
        "src/ingest/walk.rs",
        "use crate::encode::Encoder;",
        "must not use encode",
    );
    assert_complains(
        rule,
        "src/encode/mod.rs",
        "use crate::{ingest::Picture, evidence};",
        "evidence",
    );
    assert_complains(
        rule,
        "src/query/a/b.rs",
        "fn f() { super::super::super::cli::g() }",
        "must not use cli",
    );
    assert_complains(rule, "src/query/a.rs", "use crate::Collection;", "no layer");
    assert_complains(
        rule,
        "src/helpers/mod.rs",
        "use crate::ingest::Picture;",
        "helpers has no layer",
    );
    assert_complains(
        rule,
        "src/cli/mod.rs",
        "use sightword::unknown::Thing;",
        "unknown has no layer",
    );
    let fine =
        "use crate::ingest::Picture; use super::a; // crate::cli\n#[cfg(test)] use crate::cli::x;";
    assert_silent(rule, "src/encode/b.rs", fine);
}

fn upward_uses(source: &Source) -> Vec<String> {
    let Some(user) = source.folder() else { return Vec::new() };
    let Some(own) = layer(user) else {
        return vec![format!("{}: the folder {user} has no layer: add it to LAYERS", source.path)];
    };
    let mut complaints = Vec::new();
    for used in used_folders(source) {
        match layer(&used) {
            _ if used == user => {}
            Some(other) if other < own => {}
            Some(_) => complaints.push(format!("{}: {user} must not use {used}", source.path)),
            None => {
                complaints.push(format!("{}: {used} has no layer: name its folder", source.path));
            }
        }
    }
    complaints
}

fn layer(folder: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&folder))
}

/// The names that stand directly below the root of the crate wherever the file names a path from there.
fn used_folders(source: &Source) -> Vec<String> {
    // `super` once for each folder and the file itself leads to the root; a mod.rs is its folder.
    let depth = source.path.matches('/').count() - usize::from(source.path.ends_with("/mod.rs"));
    let supers = "super::".repeat(depth);
    let mut found = Vec::new();
    for start in ["crate::", "sightword::", supers.as_str()] {
        for (at, _) in source.code.match_indices(start) {
            let before = source.code[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                found.extend(first_names(&source.code[at + start.len()..]));
            }
        }
    }
    found
}

/// `a::b` gives `a`; `{a::b, c, d::{e, f}}` gives `a`, `c`, `d`.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut names = vec![name(group)];
    let mut depth = 1_usize;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(name(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty() && name != "self");
    names
}

// Printing

#[test]
fn only_the_command_line_prints() {
    assert_clean(prints, &["src", "index/src"]);
}

#[test]
fn a_print_in_a_library_is_noticed() {
    assert_complains(prints, "src/query/a.rs", "fn f() {\n    println!();\n}", "src/query/a.rs:2");
    assert_complains(prints, "index/src/a.rs", "fn f() { eprint!(\"\") }", "eprint!");
    assert_complains(prints, "index/src/a.rs", "fn f() { dbg!(1); }", "dbg!");
    assert_silent(prints, "src/cli/search.rs", "fn f() { println!() }");
    assert_silent(prints, "src/query/a.rs", "/// println!()\nfn f() { \"print!()\" }");
}

fn prints(source: &Source) -> Vec<String> {
    if PRINTERS.iter().any(|printer| source.path.starts_with(printer)) {
        return Vec::new();
    }
    macros(source, &["print!", "println!", "eprint!", "eprintln!", "dbg!"], "only src/cli prints")
}

/// A complaint for each line whose code calls one of the macros.
fn macros(source: &Source, names: &[&str], why: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, line) in (1..).zip(source.code.lines()) {
        for name in names {
            let called = line
                .match_indices(name)
                .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            if called {
                complaints.push(format!("{}:{number}: {name} ({why})", source.path));
            }
        }
    }
    complaints
}

// Panics

#[test]
fn libraries_do_not_panic() {
    assert_clean(panics, &["src", "index/src"]);
}

#[test]
fn a_panic_is_noticed() {
    assert_complains(panics, "src/query/a.rs", "fn f() { g().unwrap() }", "a.rs:1: .unwrap()");
    assert_complains(panics, "src/query/a.rs", "fn f() { panic!(\"no\") }", "panic!");
    assert_complains(panics, "src/query/a.rs", "fn f() { todo!() }", "todo!");
    assert_complains(panics, "src/query/a.rs", "fn f() { unimplemented!() }", "unimplemented!");
    assert_complains(
        panics,
        "src/query/a.rs",
        "fn f() {\n    g().expect(\"why\");\n}",
        "a.rs:2: .expect(",
    );
    assert_complains(panics, "src/query/a.rs", "fn f() { unreachable!() }", "unreachable!");
    let reason = "fn f() {\n    // g was checked on entry\n    let x = g()\n        .expect(\"checked\");\n}";
    assert_silent(panics, "src/query/a.rs", reason);
    assert_silent(panics, "src/query/a.rs", "fn f() { g().expect(\"checked\") } // checked above");
    let test = "#[cfg(test)]\nmod tests {\n    #[test]\n    fn t() { g().unwrap() }\n}";
    assert_silent(panics, "src/query/a.rs", test);
    assert_silent(panics, "src/query/a.rs", "/// ```\n/// g().unwrap();\n/// ```\nfn g() {}");
}

fn panics(source: &Source) -> Vec<String> {
    let mut complaints = macros(source, &["panic!", "todo!", "unimplemented!"], "return an error");
    for (number, line) in (1..).zip(source.code.lines()) {
        if line.contains(".unwrap()") {
            complaints.push(format!("{}:{number}: .unwrap() (return an error)", source.path));
        }
        for call in [".expect(", "unreachable!("] {
            if line.contains(call) && !has_comment(source, number) {
                let why = "say in a comment above why this cannot happen, or return an error";
                complaints.push(format!("{}:{number}: {call}…) ({why})", source.path));
            }
        }
    }
    complaints
}

/// Whether the statement on this line has a comment: on one of its lines, or right above it.
fn has_comment(source: &Source, number: usize) -> bool {
    let text: Vec<_> = source.text.lines().take(number).collect();
    let code: Vec<_> = source.code.lines().take(number).collect();
    for at in (0..text.len()).rev() {
        let line = code[at].trim();
        let ended = text[at].trim().is_empty() || line.ends_with([';', '{', '}']);
        if at + 1 < number && ended {
            return false;
        }
        let documents = ["///", "//!"].iter().any(|start| text[at].trim_start().starts_with(start));
        if text[at].contains("//") && !code[at].contains("//") && !documents {
            return true;
        }
    }
    false
}

// Unsafe

#[test]
fn unsafe_stays_in_its_rooms() {
    assert_clean(unsafe_elsewhere, &["src", "index/src"]);
}

#[test]
fn unsafe_elsewhere_is_noticed() {
    assert_complains(
        unsafe_elsewhere,
        "src/query/a.rs",
        "fn f() { unsafe { g() } }",
        "a.rs:1: unsafe",
    );
    assert_silent(unsafe_elsewhere, UNSAFE[0], "fn f() { unsafe { g() } }");
    assert_silent(unsafe_elsewhere, "src/query/mod.rs", "#![forbid(unsafe_code)] // unsafe");
}

fn unsafe_elsewhere(source: &Source) -> Vec<String> {
    if UNSAFE.iter().any(|room| source.path.starts_with(room)) {
        return Vec::new();
    }
    let is_unsafe = |line: &str| {
        line.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == "unsafe")
    };
    let found = (1..).zip(source.code.lines()).filter(|(_, line)| is_unsafe(line));
    found.map(|(number, _)| format!("{}:{number}: unsafe (see UNSAFE)", source.path)).collect()
}

// Files

#[test]
fn files_are_short() {
    assert_clean(too_long, &["src", "index/src", "tests", "index/tests", "benches", "examples"]);
}

#[test]
fn a_long_file_is_noticed() {
    assert_complains(too_long, "src/a.rs", &"\n".repeat(LONGEST_FILE + 1), "601 lines");
    assert_silent(too_long, "src/a.rs", &"\n".repeat(LONGEST_FILE));
}

fn too_long(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let complaint = format!("{}: {lines} lines, {LONGEST_FILE} at most", source.path);
    if lines > LONGEST_FILE { vec![complaint] } else { Vec::new() }
}

#[test]
fn every_folder_says_what_it_is_for() {
    assert_clean(without_module_doc, &["src", "index/src"]);
}

#[test]
fn a_folder_without_a_word_is_noticed() {
    assert_complains(without_module_doc, "src/query/mod.rs", "mod parse;", "//!");
    assert_silent(without_module_doc, "src/query/mod.rs", "//! Words to tokens.\nmod parse;");
    assert_silent(without_module_doc, "src/query/parse.rs", "fn parse() {}");
}

fn without_module_doc(source: &Source) -> Vec<String> {
    let opens_a_module = ["mod.rs", "lib.rs"].iter().any(|name| source.path.ends_with(name));
    if opens_a_module && !source.text.starts_with("//!") {
        return vec![format!("{}: does not begin with //! and what it is for", source.path)];
    }
    Vec::new()
}

// Papers

#[test]
fn the_architecture_has_a_word_on_every_folder() {
    let paper = read("ARCHITECTURE.md");
    for folder in LAYERS.iter().copied().flatten() {
        assert!(
            paper.contains(&format!("`src/{folder}/`")),
            "ARCHITECTURE.md has no src/{folder}/"
        );
    }
    assert!(paper.lines().count() <= 250, "ARCHITECTURE.md is longer than 250 lines");
}

#[test]
fn the_changelog_is_open_for_the_next_change() {
    assert!(
        is_open(&read("CHANGELOG.md")),
        "CHANGELOG.md needs the heading '## [Unreleased]' first"
    );
    assert!(!is_open("# Changelog\n\n## [0.1.0]\n\n## [Unreleased]\n"));
}

fn is_open(changelog: &str) -> bool {
    let mut headings = changelog.lines().filter(|line| line.starts_with("## "));
    headings.next().is_some_and(|first| first.starts_with("## [Unreleased]"))
}

#[test]
fn every_example_photo_has_a_licence() {
    let names: Vec<_> = files(&root().join("examples/photos"))
        .iter()
        .filter_map(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
        .filter(|name| name != "LICENSES.md")
        .collect();
    assert!((12..=30).contains(&names.len()), "{} example photos", names.len());
    assert_eq!(unlicensed(&names, &read("examples/photos/LICENSES.md")), Vec::<&str>::new());
}

#[test]
fn a_photo_without_a_licence_is_noticed() {
    let names = ["cat.jpg", "cup.jpg", "dog.jpg"].map(str::to_owned);
    let licences =
        "| `cat.jpg` | someone | CC0 1.0 |\n| `dog.jpg` | someone | all rights reserved |\n";
    assert_eq!(unlicensed(&names, licences), ["cup.jpg", "dog.jpg"]);
}

/// The files that no line names together with a licence that lets us pass them on.
fn unlicensed<'a>(names: &'a [String], licences: &str) -> Vec<&'a str> {
    let free = |line: &str| {
        let line = line.to_lowercase();
        ["cc0", "cc by", "cc-by", "public domain"].iter().any(|licence| line.contains(licence))
            && !line.contains("-nc")
            && !line.contains("-nd")
    };
    let licensed = |name: &str| licences.lines().any(|line| line.contains(name) && free(line));
    names.iter().map(String::as_str).filter(|name| !licensed(name)).collect()
}
