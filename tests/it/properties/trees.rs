//! Definitions that somebody broke: problems at places, never a panic.

use std::path::Path;
use std::time::Instant;

use proptest::prelude::*;
use serde_json::Value;
use tidegate::definitions::compile::compile;
use tidegate::definitions::document;
use tidegate::definitions::load::{Tree, load};

use super::cases;
use crate::support::PATIENCE;

/// What happens to a text.
#[derive(Clone, Debug)]
pub enum Change {
    Remove(f64, usize),
    Insert(f64, String),
    Repeat(f64, usize),
    Cut(f64),
}

pub fn change() -> impl Strategy<Value = Change> {
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

pub fn apply(text: &mut String, change: &Change) {
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
        let mut files = (*tree.files).clone();
        files.insert(file.clone(), text);
        let started = Instant::now();
        let result = compile(&Tree::from_files(files));
        prop_assert!(started.elapsed() < PATIENCE, "it takes for ever");
        let Err(problems) = result else { return Ok(()) };
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

/// Keys whose members are free: names are the publisher's, or a schema of another language.
const FREE: [&str; 9] = [
    "claims",
    "param_binding",
    "response_schema",
    "roles_map",
    "mask",
    "parameters",
    "data",
    "json_path",
    "value_map",
];

/// Places of objects whose keys are fixed.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.push(at.to_owned());
            for (key, member) in members {
                let is_free = FREE.contains(&key.as_str()) && member.is_object();
                let is_example = matches!(key.as_str(), "default" | "example" | "expect");
                if !is_free && !is_example {
                    places(member, &format!("{at}/{key}"), found);
                }
            }
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(i, item)| places(item, &format!("{at}/{i}"), found));
        }
        _ => {}
    }
}

#[test]
fn unknown_keys_are_found_wherever_they_are() {
    // Some stand in the wrong folder here, which comes before their keys.
    let seeds: Vec<_> = seeds().into_iter().filter(|(_, tree)| compile(tree).is_ok()).collect();
    assert!(seeds.len() > 20);
    let strategy = (0..seeds.len(), any::<prop::sample::Index>(), "[a-z]{2,5}_zz");
    let mut runner = proptest::test_runner::TestRunner::new(cases(150));
    let property = |(seed, at, key): (usize, prop::sample::Index, String)| {
        let (file, tree) = &seeds[seed];
        let mut documents: Vec<Value> = serde_saphyr::from_multiple(&tree.files[file]).unwrap();
        let mut found = Vec::new();
        for (i, document) in documents.iter().enumerate() {
            places(document, &format!("{i}:"), &mut found);
        }
        let place = at.get(&found);
        let (i, path) = place.split_once(':').unwrap();
        let document = &mut documents[i.parse::<usize>().unwrap()];
        document.pointer_mut(path).unwrap()[&key] = Value::from(1);
        // JSON is YAML.
        let texts: Vec<String> = documents.iter().map(ToString::to_string).collect();
        let mut files = (*tree.files).clone();
        files.insert(file.clone(), texts.join("\n---\n"));
        // Where it may be a text or a mapping, it is found to be neither.
        let result = compile(&Tree::from_files(files));
        prop_assert!(result.is_err(), "{}: {}: {} is taken", file, place, key);
        Ok(())
    };
    runner.run(&strategy, property).unwrap();
}
