//! What `tidegate validate` says of policies: errors with their places, and warnings of what has no effect.

use super::governed;
use crate::support::databases::{Bench, Kind};
use crate::support::run;

const SQL: &str = "CREATE TABLE sale (id INTEGER PRIMARY KEY, region TEXT, phone TEXT);";

/// Exit code and what is printed for a datasource, a role and the rest of the policies.
fn validate(governs: bool, role: &str, more: &str) -> (i32, String) {
    let bench = if governs { governed(Kind::Sqlite, SQL) } else { Bench::new(Kind::Sqlite) };
    bench.interface(
        "code: sales\ntags: [shop]\nquery_template: SELECT id FROM sale WHERE phone = 'x'",
    );
    bench
        .tree
        .write("policies/base.yaml", &format!("kind: role\nname: reader\n{role}\n---\n{more}\n"));
    let (code, out, _) = run(&["validate", "--root", bench.tree.root().to_str().unwrap()]);
    (code, out)
}

const CONSUMER: &str = "kind: consumer\nname: c\nroles: [reader]";

#[test]
fn what_has_no_effect_is_a_warning() {
    let all = "interfaces: [\"*\"]\ndata: [{datasource: db, table: sale}]";
    assert_eq!(validate(true, all, CONSUMER), (0, validate(true, all, CONSUMER).1));
    assert!(
        validate(true, all, CONSUMER).1.contains(" 0 warnings"),
        "{}",
        validate(true, all, CONSUMER).1
    );
    for (governs, role, more, line, said) in [
        (true, all, "kind: consumer\nname: c", 1, "No consumer has the role `reader`."),
        (
            true,
            "interfaces: [sale]\ndata: [{datasource: db, table: sale}]",
            CONSUMER,
            3,
            "No interface matches `interfaces: sale`.",
        ),
        (
            true,
            "tags: [shop, store]\ndata: [{datasource: db, table: sale}]",
            CONSUMER,
            3,
            "No interface matches `tags: store`.",
        ),
        (
            true,
            "interfaces: [sales]\ndata: [{datasource: nowhere, table: x}, {datasource: db, table: sale}]",
            CONSUMER,
            4,
            "No datasource matches `nowhere`.",
        ),
        (
            true,
            "interfaces: [sales]\ndata: [{datasource: db, table: sales}, {datasource: db, table: sale}]",
            CONSUMER,
            4,
            "No interface reads a table of `db` that `sales` matches.",
        ),
        (
            true,
            "interfaces: [sales]\ndata: [{datasource: db, table: sale, columns: {mask: {phone: last4}}}]",
            CONSUMER,
            3,
            "condition on `phone`",
        ),
        (true, "interfaces: [sales]", CONSUMER, 3, "reads `sale`, which no role grants"),
        (
            false,
            "interfaces: [sales]\ndata: [{datasource: db, table: sale}]",
            CONSUMER,
            4,
            "`db` is not governed",
        ),
    ] {
        let (code, out) = validate(governs, role, more);
        assert_eq!(code, 0, "{out}");
        let found = out.lines().find(|text| text.contains(said));
        let found = found.unwrap_or_else(|| panic!("{said} is not said:\n{out}"));
        assert!(
            found.contains(" warning POLICY_") && found.contains(&format!(":{line}:")),
            "{found}"
        );
    }
    // Tokens may bring any role.
    let issuer = "kind: jwt_issuer\nname: sso\nissuer: i\naudience: a\nkeys: {hs256: {env: HOME}}";
    assert!(
        !validate(true, all, issuer).1.contains("No consumer"),
        "{}",
        validate(true, all, issuer).1
    );
}

#[test]
fn what_is_wrong_is_an_error_at_its_place() {
    for (data, said) in [
        ("{datasource: db}", "MISSING_KEY: The grant names nothing."),
        ("{datasource: db, functions: [f], rows: \"1 = 1\"}", "CONFLICT"),
        ("{datasource: db, table: \"a[\"}", "BAD_PATTERN: `a[` is no pattern"),
        ("{datasource: db, table: t, rows: \"region =\"}", "BAD_EXPRESSION"),
        ("{datasource: db, table: t, rows: \"a = 1; DROP TABLE t\"}", "BAD_EXPRESSION"),
        ("{datasource: db, table: t, rows: \"a = '$principal.name'\"}", "BAD_EXPRESSION"),
        ("{datasource: db, table: t, rows: \"a = :region\"}", "BAD_EXPRESSION"),
        ("{datasource: db, table: t, rows: \"a = $principal.secret\"}", "BAD_EXPRESSION"),
        ("{datasource: db, table: t, rows: \"load_extension('x') = 1\"}", "BAD_EXPRESSION"),
        (
            "{datasource: db, table: t, columns: {mask: {a: last5}}}",
            "BAD_VALUE: There is no mask `last5`.",
        ),
        (
            "{datasource: db, table: t, columns: {mask: {a: {round: 0}}}}",
            "BAD_VALUE: This is no mask.",
        ),
        (
            "{datasource: db, table: t, columns: {mask: {a: {partial: {prefx: 1}}}}}",
            "BAD_VALUE: This is no mask.",
        ),
        ("{datasource: db, table: t, columns: {mask: {a: 4}}}", "WRONG_TYPE"),
        ("{datasource: db, table: t, columns: {allow: [a], deny: [a]}}", "CONFLICT"),
        ("{datasource: db, table: t, colums: {deny: [a]}}", "UNKNOWN_KEY"),
        ("{table: t}", "MISSING_KEY"),
    ] {
        let (code, out) =
            validate(true, &format!("interfaces: [\"*\"]\ndata:\n  - {data}"), CONSUMER);
        assert_eq!(code, 1, "{data}: {out}");
        assert!(out.contains("policies/base.yaml:5:"), "{data}: {out}");
        assert!(out.contains(said), "{data}: {out}");
    }
}

#[test]
fn what_cannot_be_governed_does_not_load() {
    for (kind, sql, said) in [
        (
            Kind::Postgres,
            "SELECT id FROM sale WHERE id = 1 EXCEPT TABLE sale",
            "`TABLE t` is not followed",
        ),
        (
            Kind::Postgres,
            "SELECT id FROM a.b.c WHERE id = 1",
            "`a.b.c` is no table of one database",
        ),
        (
            Kind::Postgres,
            "SELECT 1 WHERE 1 OPERATOR(public.=) 1",
            "operators named by their schema",
        ),
        (Kind::MariaDb, "DELETE FROM sale WHERE id = 1", "`DELETE` is not a query"),
        (Kind::MariaDb, "SELECT 1 FROM", "expected identifier"),
        (Kind::Sqlite, "PRAGMA table_info('sale')", "`PRAGMA` "),
    ] {
        for safe in ["", "safe_mode: false\n"] {
            let bench = Bench::new(kind);
            bench.datasource("governed: true");
            bench.interface(&format!("code: odd\n{safe}query_template: |\n  {sql}"));
            let (code, out, _) = run(&["validate", "--root", bench.tree.root().to_str().unwrap()]);
            assert_eq!(code, 1, "{sql}: {out}");
            assert!(
                out.contains(said) && out.contains("definitions/odd-1.0.0.yaml:"),
                "{sql}: {out}"
            );
        }
    }
}

/// With the database at hand, a grant's names are looked up.
#[test]
fn live_validation_knows_tables_and_columns() {
    for (grant, said) in [
        ("table: sale, columns: {deny: [phone]}, rows: \"region = 'x'\"", None),
        ("table: sales", Some("has no table `sales`")),
        ("table: sale, columns: {deny: [fone]}", Some("names the column `fone`")),
        ("table: sale, rows: \"regio = 'x'\"", Some("reads `regio`")),
        ("table: \"sa*\", columns: {deny: [fone]}", None),
    ] {
        let bench = governed(Kind::Sqlite, SQL);
        bench.interface("code: sales\nquery_template: SELECT id FROM sale WHERE id = 1");
        super::Policy { claims: "", roles: &[grant] }.write(&bench);
        let (code, out, _) =
            run(&["validate", "--live", "--root", bench.tree.root().to_str().unwrap()]);
        assert_eq!(code, i32::from(said.is_some()), "{grant}: {out}");
        let said = said.unwrap_or("ok: ");
        assert!(out.contains(said), "{grant}: {out}");
        assert!(said == "ok: " || out.contains("policies/base.yaml:5:"), "{grant}: {out}");
    }
}
