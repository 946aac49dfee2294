//! The definitions as files: `tests/definitions/good` compiles cleanly, and each of `bad` has the problems that stand
//! beside it. `TIDEGATE_BLESS=1` writes those anew; read the difference before it is committed.
//!
//! A fixture `CASE.yaml` holds whole documents of any kind. It is put into the tree once a folder, with the documents
//! that do not belong there blanked, so that lines stay true. A document whose `kind` says nothing stands in
//! `definitions/`; a comment `# folder: NAME` in it says otherwise. `CASE.sql` and `CASE.json` stand beside it. Where a
//! fixture has no datasource, `db` (SQLite), `pg` and `my` are there.

mod demo;
mod docs;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tidegate::definitions::compile::compile;
use tidegate::definitions::load::{FOLDERS, Tree};
use tidegate::definitions::problem::{Problem, ProblemCode};
use tidegate::definitions::schema::Kind;
use tidegate::definitions::snapshot::Snapshot;
use tidegate::live::generation::Generation;
use tidegate::observe::Observer;
use tidegate::observe::metrics::Metrics;

const STANDARD: &str = "kind: datasource\nid: db\ntype: sqlite\npath: db.sqlite\n\
    ---\nkind: datasource\nid: pg\ntype: postgres\nhost: db.test\n\
    ---\nkind: datasource\nid: my\ntype: mysql\nhost: db.test\n";

/// Codes of what only a disk or a database can refuse.
const OUT_OF_REACH: [ProblemCode; 2] = [ProblemCode::Unreadable, ProblemCode::SqlRefused];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/definitions").join(name)
}

/// The fixtures of a folder, by name.
fn cases(name: &str) -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    cases.sort();
    cases
}

/// The folder that a document belongs to.
fn folder_of(document: &str) -> &str {
    if let Some((_, rest)) = document.split_once("# folder: ") {
        return rest.split_whitespace().next().unwrap_or_default();
    }
    let words = document.split_once("kind: ").map(|(_, rest)| rest);
    let word = words.and_then(|rest| rest.split([',', '}', '\n', ' ']).next()).unwrap_or_default();
    Kind::parse(word.trim()).map_or("definitions", Kind::folder)
}

/// The documents of `text` that belong in `folder`, in their lines; nothing where there are none.
fn only(text: &str, folder: &str) -> Option<String> {
    let mut documents: Vec<String> = vec![String::new()];
    for line in text.split_inclusive('\n') {
        if line.trim_end() == "---" {
            documents.push(String::new());
        }
        documents.last_mut().unwrap().push_str(line);
    }
    let belongs = |document: &&mut String| folder_of(document) == folder;
    let blank = |text: &str| text.chars().filter(|c| *c == '\n').collect::<String>();
    let mut found = false;
    for document in &mut documents {
        if belongs(&document) && document.trim().len() > 3 {
            found = true;
        } else {
            *document = blank(document);
        }
    }
    found.then(|| documents.concat())
}

/// The tree that a fixture makes.
fn tree(case: &Path) -> Tree {
    let text = fs::read_to_string(case).unwrap();
    let stem = case.file_stem().unwrap().to_str().unwrap();
    let mut files = BTreeMap::new();
    for folder in FOLDERS {
        if let Some(text) = only(&text, folder) {
            files.insert(format!("{folder}/{stem}.yaml"), text);
        }
    }
    if !files.keys().any(|file| file.starts_with("datasources/")) {
        files.insert("datasources/standard.yaml".to_owned(), STANDARD.to_owned());
    }
    for (extension, folder) in [("sql", "definitions"), ("json", "policies")] {
        if let Ok(text) = fs::read_to_string(case.with_extension(extension)) {
            files.insert(format!("{folder}/{stem}.{extension}"), text);
        }
    }
    Tree::from_files(files)
}

/// Compiles and, where that goes well, prepares.
fn problems(tree: &Tree) -> Vec<Problem> {
    match compile(tree) {
        Ok(snapshot) => prepare(snapshot),
        Err(problems) => problems,
    }
}

fn prepare(snapshot: Snapshot) -> Vec<Problem> {
    let root = tempfile::tempdir().unwrap();
    let observer = Observer::new(Metrics::new().into());
    let key = tidegate::access::mask_key::MaskKey::ephemeral().into();
    Generation::prepare(snapshot, None, root.path(), None, &observer, &key).warnings
}

/// The problems as they stand beside a fixture, whose own name is left out.
fn print(problems: &[Problem], case: &Path) -> String {
    let own = format!("/{}.yaml:", case.file_stem().unwrap().to_str().unwrap());
    let mut out = String::new();
    for problem in problems {
        let text = problem.to_string();
        let text = match text.split_once(&own) {
            Some((folder, rest)) if FOLDERS.contains(&folder) => rest.to_owned(),
            _ => text,
        };
        out.push_str(&text);
        out.push('\n');
    }
    out
}

#[test]
fn good_definitions_compile_without_a_word() {
    let cases = cases("good");
    assert!(cases.len() >= 25, "{} cases", cases.len());
    for case in &cases {
        match compile(&tree(case)) {
            Ok(snapshot) => {
                assert_eq!(print(&snapshot.warnings, case), "", "{}", case.display());
                let count = snapshot.interfaces.len() + snapshot.policies.roles.len();
                let count = count + snapshot.policies.issuers.len() + snapshot.datasources.len();
                assert!(count > 0, "{} holds nothing", case.display());
            }
            Err(problems) => panic!("{}\n{}", case.display(), print(&problems, case)),
        }
    }
}

#[test]
fn bad_definitions_have_exactly_their_problems() {
    let bless = std::env::var_os("TIDEGATE_BLESS").is_some();
    let mut differences = String::new();
    let cases = cases("bad");
    assert!(cases.len() >= 75, "{} cases", cases.len());
    for case in &cases {
        let found = print(&problems(&tree(case)), case);
        let beside = case.with_extension("expected");
        if bless {
            fs::write(&beside, &found).unwrap();
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if found != expected || found.is_empty() {
            let name = case.display();
            let text = format!("{name}\nexpected:\n{expected}found:\n{found}\n");
            differences.push_str(&text);
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn every_code_of_a_problem_has_a_fixture() {
    let reached: BTreeSet<&str> = cases("bad")
        .iter()
        .flat_map(|case| problems(&tree(case)))
        .map(|problem| problem.code.as_str())
        .collect();
    let missing: Vec<&str> = ProblemCode::ALL
        .into_iter()
        .filter(|code| !OUT_OF_REACH.contains(code))
        .map(ProblemCode::as_str)
        .filter(|code| !reached.contains(code))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
