//! What is taken over from an earlier snapshot changes nothing: after any edits a tree compiles to what it compiles to alone.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use tidegate::definitions::compile::{compile, compile_beside};
use tidegate::definitions::load::Tree;
use tidegate::definitions::problem::Problem;
use tidegate::definitions::snapshot::{Interface, Snapshot};

use super::cases;
use super::trees::{Change, apply, change};

/// The files of a tree whose parts depend on each other, each with texts that it may have; the first is sound and what a case
/// begins with. An empty one means that there is no such file.
const FILES: &[(&str, &[&str])] = &[
    (
        "datasources/lite.yaml",
        &[
            "kind: datasource\nid: lite\ntype: sqlite\npath: a.db\n",
            // Elsewhere in its file, and nothing else.
            "# moved\nkind: datasource\nid: lite\ntype: sqlite\npath: a.db\n",
            "kind: datasource\nid: lite\ntype: sqlite\npath: a.db\nlimits: {timeout_ms: 5, max_rows: 7}\n",
            "kind: datasource\nid: lite\ntype: sqlite\npath: a.db\ngoverned: true\n",
            "kind: datasource\nid: lite\ntype: postgres\nhost: db.test\n",
            "kind: datasource\nid: lite\ntype: sqlite\n",
            "kind: datasource\nid: lite\ntype: [\n",
            "kind: datasource\nid: light\ntype: sqlite\npath: a.db\n",
            "",
        ],
    ),
    (
        "datasources/server.yaml",
        &[
            "kind: datasource\nid: server\ntype: mysql\nhost: db.test\n",
            "kind: datasource\nid: server\ntype: mysql\nhost: db.test\n---\nkind: datasource\nid: third\ntype: sqlite\npath: c.db\n",
            "kind: datasource\nid: lite\ntype: mysql\nhost: db.test\n",
            "",
        ],
    ),
    (
        "definitions/earlier.yaml",
        &[
            "",
            "kind: interface\ncode: items\ndatasource_id: lite\nquery_template: SELECT 9 AS nine\n",
            "kind: interface\ncode: early\ndatasource_id: lite\nquery_template: SELECT 9 AS nine\n",
        ],
    ),
    (
        "definitions/items.yaml",
        &[
            "kind: interface\ncode: items\ndatasource_id: lite\nquery_file: items.sql\ntags: [shop]\n\
             tests:\n  - {name: a, as: shop}\n  - {name: b, as: {roles: [seller]}}\n",
            "kind: interface\ncode: items\nname: Items\ndatasource_id: server\nquery_file: items.sql\n",
            "kind: interface\ncode: items\nstatus: deprecated\ndeprecated_at: 2026-01-01\ndatasource_id: lite\nquery_file: ./items.sql\n",
            "kind: interface\ncode: items\nstatus: draft\ndefault: true\ndatasource_id: lite\nquery_file: shop/items.sql\n",
            "kind: interface\ncode: items\ndatasource_id: third\nquery_template: SELECT 1 AS one\npath: /data-api/things\n",
            "kind: interface\ncode: items\ncode: twice\ndatasource_id: lite\nquery_template: SELECT 1\n",
            "kind: interface\n\tcode: items\n",
            "# nothing\n",
            "",
        ],
    ),
    (
        "definitions/items.sql",
        &[
            "SELECT id, name FROM item WHERE id = 1",
            "SELECT name FROM item WHERE id = 2",
            "SELECT `name` FROM item WHERE id = 2",
            "SELECT * FROM item",
            "SELECT\n  FROM WHERE",
            "",
        ],
    ),
    (
        "definitions/shop/items.sql",
        &["SELECT name FROM thing WHERE id = 3", "", "SELECT 4 AS four"],
    ),
    (
        "definitions/next.yaml",
        &[
            "",
            "kind: interface\ncode: items\nversion: 2.0.0\ndatasource_id: lite\nquery_template: SELECT 2 AS two\n",
            "kind: interface\ncode: items\nversion: 2.0.0\ndefault: true\ndatasource_id: server\nquery_template: SELECT 2 AS two\n",
            "kind: interface\ncode: items\nversion: 1.0.0\ndatasource_id: lite\nquery_template: SELECT 2 AS two\n",
            "kind: interface\ncode: items\nversion: 0.1.0\nstatus: deprecated\ndatasource_id: lite\nquery_template: SELECT 2 AS two\n",
            "kind: interface\ncode: items\nversion: two\ndatasource_id: lite\nquery_template: SELECT 2 AS two\n",
        ],
    ),
    (
        "definitions/shop/several.yaml",
        &[
            "kind: interface\ncode: pick\ndatasource_id: lite\nquery_template: SELECT :item AS item\n\
             parameters: [{name: item, options: {interface: items, value_column: id, label_column: name}}]\n\
             ---\nkind: interface\ncode: things\ndatasource_id: server\npath: /data-api/things\nquery_template: SELECT 1 AS one\n",
            "kind: interface\ncode: things\ndatasource_id: server\npath: /data-api/{any}\n\
             parameters: [{name: any, in: path, required: true}]\nquery_template: SELECT :any AS one\n",
            "kind: interface\ncode: pick\ndatasource_id: lite\nquery_template: SELECT {{ item }} AS item\n\
             parameters: [{name: item}]\ntests: [{name: a, as: nobody}]\n---\nkind: interface\ncode: pick\ndatasource_id: lite\nquery_template: SELECT 1\n",
            "kind: interface\ncode: aaa\ndatasource_id: lite\nauth_required: false\nvisibility: public\nquery_template: SELECT 1 AS one\n",
            "kind: role\nname: seller\n",
            "",
        ],
    ),
    (
        "policies/roles.yaml",
        &[
            "kind: role\nname: seller\ninterfaces: ['*']\ndata: [{datasource: lite, table: item}]\n",
            "kind: role\nname: seller\ninterfaces: [items, gone]\ntags: [shop]\ndata:\n  - {datasource: lite, table: item, columns: {mask: {id: hash}}}\n",
            "kind: role\nname: buyer\ninterfaces: [pick]\n",
            "kind: role\nname: [\n",
            "",
        ],
    ),
    (
        "policies/shop.yaml",
        &[
            "kind: consumer\nname: shop\nroles: [seller]\n",
            "kind: consumer\nname: shopper\nroles: [buyer]\n",
            "kind: consumer\nname: shop\nroles: [seler]\n---\nkind: consumer\nname: shop\n",
            "",
        ],
    ),
];

/// What somebody does to one file.
#[derive(Clone, Debug)]
enum Edit {
    /// Gives it one of its texts.
    Take(usize),
    Slip(Change),
    /// Gives all files their first text.
    Mend,
}

fn edit() -> impl Strategy<Value = (usize, Edit)> {
    let edit = prop_oneof![
        8 => any::<prop::sample::Index>().prop_map(|at| Edit::Take(at.index(1 << 16))),
        2 => change().prop_map(Edit::Slip),
        2 => Just(Edit::Mend),
    ];
    (0..FILES.len(), edit)
}

fn make(edit: &Edit, at: usize, files: &mut BTreeMap<String, String>) {
    let (file, texts) = FILES[at];
    match edit {
        Edit::Take(which) => put(file, texts[which % texts.len()], files),
        Edit::Slip(change) => {
            if let Some(text) = files.get_mut(file) {
                apply(text, change);
            }
        }
        Edit::Mend => FILES.iter().for_each(|(file, texts)| put(file, texts[0], files)),
    }
}

fn put(file: &str, text: &str, files: &mut BTreeMap<String, String>) {
    if text.is_empty() {
        files.remove(file);
    } else {
        files.insert(file.to_owned(), text.to_owned());
    }
}

/// All that a snapshot says, a line each. Patterns are left out: they show how often they were used.
fn said(snapshot: &Snapshot) -> Vec<String> {
    let Snapshot { revision, hash, interfaces, routes, datasources, policies, warnings, files } =
        snapshot;
    let mut said = vec![format!("{revision} {hash} {:?}", policies.consumers)];
    said.extend(warnings.iter().map(ToString::to_string));
    said.extend(interfaces.iter().map(|one| format!("{one:?}")));
    said.extend(datasources.iter().map(|one| format!("{one:?}")));
    said.extend(files.iter().map(|one| format!("{one:?}")));
    for route in &routes.entries {
        let found = routes.paths.at(&route.path.replace(['{', '}'], "")).map(|at| *at.value);
        said.push(format!("{route:?} {found:?}"));
    }
    for role in &policies.roles {
        let granted: Vec<bool> = (0..interfaces.len()).map(|i| role.grants(i)).collect();
        let entries: Vec<String> = role.entries().iter().map(|(one, _)| one.to_string()).collect();
        let data: Vec<&str> = role.all_data().map(|(datasource, _)| datasource).collect();
        said.push(format!("{} {entries:?} {granted:?} {data:?}", role.name));
    }
    said
}

type Compiled = Result<Snapshot, Vec<Problem>>;

fn is_same(taken: &Compiled, alone: &Compiled) -> Result<(), TestCaseError> {
    match (taken, alone) {
        (Err(taken), Err(alone)) => prop_assert_eq!(taken, alone),
        (Ok(taken), Ok(alone)) => {
            let (taken_says, alone_says) = (said(taken), said(alone));
            prop_assert_eq!(taken_says.len(), alone_says.len());
            for (taken, alone) in taken_says.iter().zip(&alone_says) {
                prop_assert_eq!(taken, alone);
            }
            for (index, interface) in taken.interfaces.iter().enumerate() {
                prop_assert_eq!(interface.index, index);
                // What it runs on is what the tree has, not a copy of what it had.
                let datasource = &taken.datasources[&interface.datasource.spec.id];
                prop_assert!(Arc::ptr_eq(datasource, &interface.datasource));
            }
        }
        _ => prop_assert!(
            false,
            "one compiles: {:?}, {:?}",
            taken.as_ref().err(),
            alone.as_ref().err()
        ),
    }
    Ok(())
}

/// Whether `one` is shared with `before`.
fn is_of(one: &Interface, before: &Snapshot) -> bool {
    before.interfaces.iter().any(|old| Arc::ptr_eq(&old.definition, &one.definition))
}

#[test]
fn what_is_taken_over_is_what_compiles() {
    let strategy = proptest::collection::vec(edit(), 1..16);
    let mut runner = proptest::test_runner::TestRunner::new(cases(200));
    let (edits, sound, kept) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let count = |of: &Cell<usize>, more: usize| of.set(of.get() + more);
    let property = |all: Vec<(usize, Edit)>| {
        let mut files = BTreeMap::new();
        make(&Edit::Mend, 0, &mut files);
        let mut before = compile(&Tree::from_files(files.clone())).unwrap();
        for (at, edit) in all {
            make(&edit, at, &mut files);
            let tree = Tree::from_files(files.clone());
            let taken = compile_beside(&tree, &before);
            is_same(&taken, &compile(&tree))?;
            count(&edits, 1);
            if let Ok(next) = taken {
                count(&sound, 1);
                count(&kept, next.interfaces.iter().filter(|one| is_of(one, &before)).count());
                before = next;
            }
        }
        Ok(())
    };
    runner.run(&strategy, property).unwrap();
    // Else it tries nothing.
    let (edits, sound, kept) = (edits.get(), sound.get(), kept.get());
    println!("{edits} edits, {sound} sound, {kept} definitions kept");
    assert!(sound * 5 > edits && kept > sound, "{sound} of {edits} are sound, {kept} kept");
}
