//! What did not change is taken over from the generation before, and only that.

use std::fs;
use std::sync::Arc;

use tidegate::access::mask_key::MaskKey;
use tidegate::definitions::compile::{compile, compile_beside};
use tidegate::definitions::load::Tree;
use tidegate::definitions::problem::ProblemCode;
use tidegate::definitions::snapshot::{Interface, Snapshot};
use tidegate::live::reload::{BY_SIGNAL, Live};
use tidegate::observe::Observer;
use tidegate::observe::metrics::Metrics;

const FILES: [(&str, &str); 6] = [
    (
        "datasources/all.yaml",
        "kind: datasource\nid: a\ntype: sqlite\npath: a.db\n---\nkind: datasource\nid: b\ntype: sqlite\npath: b.db\n",
    ),
    (
        "definitions/file.yaml",
        "kind: interface\ncode: file\ndatasource_id: a\nquery_file: file.sql\n",
    ),
    ("definitions/file.sql", "SELECT 1 AS one"),
    (
        "definitions/plain.yaml",
        "kind: interface\ncode: plain\ndatasource_id: a\nquery_template: SELECT 2 AS two\n\
         tests:\n  - {name: a, as: shop}\n  - {name: b, as: {roles: [buyer]}}\n",
    ),
    (
        "definitions/second.yaml",
        "kind: interface\ncode: second\nstatus: deprecated\ndatasource_id: b\nquery_template: SELECT 3 AS three\n\
         parameters: [{name: x, options: {interface: plain, value_column: two}}]\n",
    ),
    (
        "policies/all.yaml",
        "kind: role\nname: buyer\ninterfaces: ['*']\n---\nkind: consumer\nname: shop\nroles: [buyer]\n",
    ),
];

/// The tree with one file changed, or removed.
fn tree(file: &str, text: Option<&str>) -> Tree {
    let rest = FILES.iter().filter(|(path, _)| *path != file);
    let files = rest.map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    Tree::from_files(files.chain(text.map(|text| (file.to_owned(), text.to_owned()))))
}

fn before() -> Snapshot {
    compile(&tree("", None)).unwrap()
}

/// Codes of the interfaces that were compiled anew for a change of one file.
fn anew(file: &str, text: Option<&str>) -> Vec<String> {
    let before = before();
    let after = compile_beside(&tree(file, text), &before).unwrap();
    let is_kept = |one: &Interface| {
        before.interfaces.iter().any(|old| Arc::ptr_eq(&old.definition, &one.definition))
    };
    let anew = after.interfaces.iter().filter(|one| !is_kept(one));
    anew.map(|one| one.code.clone()).collect()
}

fn text_of(file: &str) -> &'static str {
    FILES.iter().find(|(path, _)| *path == file).unwrap().1
}

#[test]
fn only_what_depends_on_a_change_is_compiled() {
    assert!(anew("", None).is_empty());
    let renamed = text_of("definitions/plain.yaml").replace("two", "zwei");
    assert_eq!(anew("definitions/plain.yaml", Some(&renamed)), ["plain"]);
    assert_eq!(anew("definitions/file.sql", Some("SELECT 5 AS one")), ["file"]);
    let datasources = text_of("datasources/all.yaml");
    let other = datasources.replace("b.db", "c.db");
    assert_eq!(anew("datasources/all.yaml", Some(&other)), ["second"]);
    // Nothing else is different than where they stand.
    let moved = format!("# moved\n{datasources}");
    assert_eq!(anew("datasources/all.yaml", Some(&moved)), ["file", "plain", "second"]);
    let policies = format!("{}---\nkind: role\nname: other\n", text_of("policies/all.yaml"));
    assert!(anew("policies/all.yaml", Some(&policies)).is_empty());
}

#[test]
fn what_is_kept_takes_its_new_place() {
    let before = before();
    let first = "kind: interface\ncode: aaa\ndatasource_id: a\nquery_template: SELECT 0 AS zero\n\
        ---\nkind: interface\ncode: second\nversion: 2.0.0\ndatasource_id: a\nquery_template: SELECT 4 AS four\n";
    let after = compile_beside(&tree("definitions/more.yaml", Some(first)), &before).unwrap();
    let labels: Vec<String> = after.interfaces.iter().map(|one| one.label()).collect();
    let expected = ["aaa@1.0.0", "file@1.0.0", "plain@1.0.0", "second@1.0.0", "second@2.0.0"];
    assert_eq!(labels, expected);
    for (index, one) in after.interfaces.iter().enumerate() {
        assert_eq!(one.index, index);
    }
    let (old, new) = (&before.interfaces[2], &after.interfaces[3]);
    assert!(Arc::ptr_eq(&old.definition, &new.definition));
    let successor = ("/data-api/second".to_owned(), "2.0.0".to_owned());
    assert_eq!((&old.successor, &new.successor), (&None, &Some(successor)));
    assert!(after.policies.roles[0].grants(new.index) && after.policies.roles[0].grants(4));
}

#[test]
fn what_is_kept_is_checked_against_the_rest() {
    let before = before();
    let found = |file: &str, text: Option<&str>| {
        let tree = tree(file, text);
        let problems = compile_beside(&tree, &before).unwrap_err();
        assert_eq!(problems, compile(&tree).unwrap_err());
        let one = |p: &tidegate::definitions::problem::Problem| {
            (p.code, p.place.file.clone(), p.place.line, p.place.column)
        };
        problems.iter().filter(|problem| problem.is_error()).map(one).collect::<Vec<_>>()
    };
    let at = |code, line, column| (code, "definitions/plain.yaml".to_owned(), line, column);
    let dangling = ProblemCode::DanglingReference;
    // A consumer, a role, an interface that it mentions.
    let role = "kind: role\nname: buyer\n";
    assert_eq!(found("policies/all.yaml", Some(role)), [at(dangling, 6, 19)]);
    let consumer = "kind: consumer\nname: shop\n";
    assert_eq!(found("policies/all.yaml", Some(consumer)), [at(dangling, 7, 28)]);
    let second = "definitions/second.yaml".to_owned();
    assert_eq!(found("definitions/plain.yaml", None), [(dangling, second.clone(), 6, 45)]);
    // Its datasource, the file of its query.
    let one = "kind: datasource\nid: a\ntype: sqlite\npath: a.db\n";
    assert_eq!(found("datasources/all.yaml", Some(one)), [(dangling, second, 4, 16)]);
    assert_eq!(found("definitions/file.sql", None)[0].0, ProblemCode::FileNotFound);
    // Its name, its address.
    let again = "kind: interface\ncode: plain\ndatasource_id: b\nquery_template: SELECT 1\n";
    let twice = found("definitions/again.yaml", Some(again));
    assert_eq!(twice, [at(ProblemCode::DuplicateIdentity, 2, 7)]);
    let same = "kind: interface\ncode: more\npath: /data-api/plain\ndatasource_id: b\nquery_template: SELECT 1\n";
    assert_eq!(found("definitions/more.yaml", Some(same))[0].0, ProblemCode::PathConflict);
}

#[test]
fn what_is_kept_goes_on_at_work() {
    let root = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    FILES.iter().for_each(|(file, text)| write(file, text));
    let observer = Observer::new(Arc::new(Metrics::new()));
    let live = Live::start(root.path(), None, observer, MaskKey::ephemeral().into()).unwrap();
    let at_work = |code: &str| {
        let generation = live.current();
        let interface = generation.snapshot.find(code, None).unwrap().clone();
        std::ptr::from_ref(generation.runtime(&interface)) as usize
    };
    let first = live.current();
    let before = (at_work("file"), at_work("plain"));
    // One that comes before them all moves every place.
    write(
        "definitions/aaa.yaml",
        "kind: interface\ncode: aaa\ndatasource_id: a\nquery_template: SELECT 0 AS zero\n",
    );
    write("definitions/plain.yaml", &text_of("definitions/plain.yaml").replace("two", "zwei"));
    // A tree with an error serves nothing and spoils nothing.
    write("definitions/bad.yaml", "kind: interface\n\tcode: bad\n");
    assert!(!live.reload(BY_SIGNAL).ok);
    fs::remove_file(root.path().join("definitions/bad.yaml")).unwrap();
    assert!(live.reload(BY_SIGNAL).ok);
    assert_eq!(at_work("file"), before.0, "nothing about it has changed");
    assert_ne!(at_work("plain"), before.1, "its query has changed");
    drop(first);
}
