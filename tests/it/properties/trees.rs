//! Definitions that somebody broke: problems at places, never a panic.

use std::path::Path;

use proptest::prelude::*;
use tidegate::definitions::compile::compile;
use tidegate::definitions::document;
use tidegate::definitions::load::{Tree, load};

use super::cases;

/// What happens to a text.
#[derive(Clone, Debug)]
enum Change {
    Remove(f64, usize),
    Insert(f64, String),
    Repeat(f64, usize),
    Cut(f64),
}

fn change() -> impl Strategy<Value = Change> {
    let at = 0.0..1.0;
    let piece = prop_oneof![
        "[-:{}\\[\\]\"'|>&*!%#,?\n\t 0a~]{1,4}",
        any::<char>().prop_map(String::from),
        prop::sample::select(vec![
            "\n- ",
            ": ",
            "&a ",
            "*a",
            "<<: ",
            "\n---\n",
            "{{ ",
            "{% if %}",
            "|\n",
            "null",
            "-1",
            "1e999",
            "''",
            "\u{0}",
            "99999999999999999999",
            "!!binary ",
            "[[[[[[",
            "{{ x | ident }}",
            ":name",
            "';",
            "--",
            "/*",
            "$.principal.",
        ])
        .prop_map(str::to_owned),
    ];
    prop_oneof![
        (at.clone(), 1..30_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (at.clone(), piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (at.clone(), 1..60_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        at.prop_map(Change::Cut),
    ]
}

fn apply(text: &mut String, change: &Change) {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a short text"
    )]
    let place = |at: f64, text: &str| text.floor_char_boundary((text.len() as f64 * at) as usize);
    let end = |from: usize, length: usize, text: &str| {
        text.floor_char_boundary((from + length).min(text.len()))
    };
    match change {
        Change::Remove(at, length) => {
            let from = place(*at, text);
            text.replace_range(from..end(from, *length, text), "");
        }
        Change::Insert(at, piece) => text.insert_str(place(*at, text), piece),
        Change::Repeat(at, length) => {
            let from = place(*at, text);
            let piece = text[from..end(from, *length, text)].to_owned();
            text.insert_str(from, &piece);
        }
        Change::Cut(at) => text.truncate(place(*at, text)),
    }
}

/// The demo and the good fixtures, each a tree of its own: the file, and its tree.
fn seeds() -> Vec<(String, Tree)> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let demo = load(repository);
    let mut seeds: Vec<(String, Tree)> =
        demo.yaml().map(|(file, _)| (file.to_owned(), demo.clone())).collect();
    let good = repository.join("tests/definitions/good");
    for entry in std::fs::read_dir(good).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            // Wherever its documents belong, here they stand together.
            let file = format!("definitions/{}", path.file_name().unwrap().to_str().unwrap());
            let text = std::fs::read_to_string(&path).unwrap();
            let datasource = "kind: datasource\nid: db\ntype: sqlite\npath: db.sqlite\n".to_owned();
            let files = [(file.clone(), text), ("datasources/db.yaml".to_owned(), datasource)];
            seeds.push((file, Tree::from_files(files)));
        }
    }
    assert!(seeds.len() > 20);
    seeds
}

#[test]
fn broken_files_have_problems_at_places() {
    let seeds = seeds();
    let strategy = (0..seeds.len(), proptest::collection::vec(change(), 1..4));
    let mut runner = proptest::test_runner::TestRunner::new(cases(250));
    let property = |(seed, changes): (usize, Vec<Change>)| {
        let (file, tree) = &seeds[seed];
        let mut text = tree.files[file].clone();
        changes.iter().for_each(|change| apply(&mut text, change));
        let lines = text.lines().count() + 1;
        let _ = document::parse(file, &text);
        let mut files = tree.files.clone();
        files.insert(file.clone(), text);
        let Err(problems) = compile(&Tree::from_files(files)) else { return Ok(()) };
        prop_assert!(problems.iter().any(tidegate::definitions::problem::Problem::is_error));
        for problem in problems {
            prop_assert!(!problem.message.is_empty() && !problem.hint.is_empty(), "{:?}", problem);
            prop_assert!(problem.place.line >= 1 && problem.place.column >= 1, "{:?}", problem);
            if problem.place.file == *file {
                prop_assert!(
                    problem.place.line as usize <= lines,
                    "{:?} of {} lines",
                    problem,
                    lines
                );
            }
        }
        Ok(())
    };
    runner.run(&strategy, property).unwrap();
}
