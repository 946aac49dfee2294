//! The house rules of `src/`: imports point downward, files are short and say what they are for, names stay in place.

use std::path::{Path, PathBuf};

use regex::Regex;

/// The layers, top first. A module uses what stands below it; modules of one layer do not know each other.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["server"],
    &["settings"],
    &["admin"],
    &["gateway"],
    &["live"],
    &["query"],
    &["access", "engines"],
    &["store"],
    &["definitions"],
    &["sql"],
    &["observe"],
    &["pace"],
];

/// Lines of a file without the unit tests at its end, at most.
const MAX_LINES: usize = 400;

/// What only some files may name: a word, the files that may, as the beginnings of their paths.
const KEPT_TO: &[(&str, &[&str])] = &[
    (r"\bpingora_", &["gateway/service.rs", "server/data.rs"]),
    (r"\bhyper(_util)?::", &["gateway/service.rs"]),
    (r"\bprometheus::", &["observe/"]),
    (r"\brusqlite::", &["engines/sqlite/", "store/audit/insert.rs", "store/audit/checkpoint.rs"]),
    (r"\b(tokio_postgres|postgres_protocol|tokio_postgres_rustls)::", &["engines/postgres/"]),
    (r"\bmysql_(async|common)::", &["engines/mysql/"]),
    (r"\bsqlx::", &["store/"]),
    (r"\bjsonwebtoken::", &["access/"]),
    (r"\bureq::", &["access/fetch.rs"]),
    (r"\bserde_saphyr::", &["definitions/document.rs", "settings.rs"]),
    (r"\baxum::", &["admin/", "server/admin_address.rs"]),
    (
        r"\brustix::",
        &["server/", "observe/host.rs", "engines/sqlite/inline.rs", "definitions/regular.rs"],
    ),
    (r"\bhttps?(_body|_body_util)?::", &["gateway/", "admin/", "cli/test.rs"]),
];

/// What only some files may do: a pattern over lines, the files that may.
const DONE_IN: &[(&str, &[&str])] = &[
    // Every query of a datasource is prepared in one place, where it is rewritten to what its caller may see.
    (r"engines::\{?[^}]*\bQuery\b", &["query/prepare.rs", "query/execute.rs", "engines/"]),
    (r"\bQuery \{ (sql|binds)\b", &["query/prepare.rs", "engines/"]),
];

/// What one part may not name.
const NOT_IN: &[(&str, &str)] = &[
    ("engines/", r"\b(snapshot|interface)::Interface\b|use .*\bInterface\b"),
    ("gateway/", r"engines::(sqlite|postgres|mysql)\b"),
    ("query/", r"engines::(sqlite|postgres|mysql)\b"),
    ("", r"\.unwrap\(\)|\btodo!|\bdbg!|\bunimplemented!"),
    ("", r"/(home|root|Users|tmp|work)/"),
    ("", r"\bT[O]DO\b|\bF[I]XME\b"),
];

/// A file of `src/`: its path below it, its text, and its text without unit tests.
struct File {
    path: String,
    text: String,
    code: String,
}

fn files() -> Vec<File> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut found): (Vec<PathBuf>, Vec<File>) = (vec![src.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
                let is_test = path.ends_with("/tests.rs");
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                let code = if is_test { String::new() } else { code.to_owned() };
                found.push(File { path, text, code });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 50, "the test looks at the wrong place");
    found
}

/// The module that a path belongs to.
fn module(path: &str) -> &str {
    path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

fn depth(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The top modules that a file names, with lines: `crate::x`, and `super::x` as far as it reaches the top.
fn uses(file: &File) -> Vec<(usize, String)> {
    let path = Regex::new(r"\bcrate::(?:\{([^}]*)\}|([a-z_]+))").unwrap();
    let upward = Regex::new(r"\b((?:super::)+)([a-z_]+)").unwrap();
    // `super` of `a/b.rs` is `a`; of `a/mod.rs` it is the top.
    let steps = file.path.trim_end_matches("/mod.rs").matches('/').count() + 1;
    let mut found = Vec::new();
    for (i, line) in file.text.lines().enumerate() {
        for captures in path.captures_iter(line) {
            let names = captures.get(1).or(captures.get(2)).map_or("", |names| names.as_str());
            let first = |name: &str| name.trim().split("::").next().unwrap_or_default().to_owned();
            found.extend(names.split(',').map(|name| (i + 1, first(name))));
        }
        for captures in upward.captures_iter(line) {
            // Within unit tests one step more leads to the file itself.
            if captures[1].matches("super").count() == steps && depth(&captures[2]).is_some() {
                found.push((i + 1, captures[2].to_owned()));
            }
        }
    }
    found
}

#[test]
fn imports_point_downward() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in files().iter().filter(|file| file.path != "lib.rs") {
        let own = module(&file.path);
        let Some(here) = depth(own) else {
            wrong.push(format!("{}: module `{own}` has no layer", file.path));
            continue;
        };
        for (line, used) in uses(file).into_iter().filter(|(_, used)| used != own) {
            seen += 1;
            if depth(&used).is_none_or(|there| there <= here) {
                wrong.push(format!("{}:{line}: `{own}` uses `{used}`", file.path));
            }
        }
    }
    assert!(seen > 100, "imports are not recognised any more");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_say_what_they_are_for_and_stay_short() {
    let mut wrong = Vec::new();
    for file in files() {
        if !file.text.starts_with("//! ") {
            wrong.push(format!("{}: the first line is no `//!`", file.path));
        }
        let lines = if file.code.is_empty() { &file.text } else { &file.code }.lines().count();
        if lines > MAX_LINES {
            wrong.push(format!("{}: {lines} lines", file.path));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_stay_in_their_places() {
    let mut wrong = Vec::new();
    let files = files();
    let mut look = |rule: &str, applies: &dyn Fn(&str) -> bool| {
        let rule = Regex::new(rule).unwrap();
        for file in files.iter().filter(|file| applies(&file.path)) {
            for (i, line) in file.code.lines().enumerate() {
                if rule.is_match(line) && !line.trim_start().starts_with("//") {
                    wrong.push(format!("{}:{}: {}", file.path, i + 1, line.trim()));
                }
            }
        }
    };
    for (word, allowed) in KEPT_TO {
        look(word, &|path| !allowed.iter().any(|start| path.starts_with(start)));
    }
    for (rule, allowed) in DONE_IN {
        look(rule, &|path| !allowed.iter().any(|start| path.starts_with(start)));
    }
    for (part, word) in NOT_IN {
        look(word, &|path| path.starts_with(part));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
