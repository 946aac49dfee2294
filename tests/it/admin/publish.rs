//! Publishing at the admin address: definitions are written to their files and to git, two people do not overwrite each other.

use std::process::Command;

use serde_json::{Value, json};

use super::people::{Person, account};
use crate::support::{Tree, eventually};

const PASSWORD: &str = "correct horse battery";

/// A file that a person wrote.
const WRITTEN: &str = "\
# Who sold what.
kind: interface
code: sales   # never change it
name: Sales
datasource_id: lite

# How fast it may be called.
rate_limit:
  rps: 50   # a second
  burst: 100
parameters:
  # the first row
  - {name: n, type: integer, default: 1}
query_template: |
  SELECT n FROM t -- all of it
  WHERE n <= :n
";

fn git(tree: &Tree, arguments: &[&str]) -> String {
    let out = Command::new("git").arg("-C").arg(tree.root()).args(arguments).output().unwrap();
    assert!(out.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// A tree in git, with the file above.
fn tree() -> Tree {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1), (2), (3);");
    tree.write("definitions/sales.yaml", WRITTEN);
    tree.write(".gitignore", "data/\n*.db*\n");
    git(&tree, &["init", "-q", "-b", "main"]);
    git(&tree, &["add", "-A"]);
    git(&tree, &["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "Begin"]);
    tree
}

fn text(tree: &Tree, path: &str) -> String {
    std::fs::read_to_string(tree.root().join(path)).unwrap()
}

#[test]
fn an_interface_is_made_changed_and_removed() {
    let tree = tree();
    let gateway = tree.serve();
    account(&tree, "chief", "developer", PASSWORD);
    let chief = Person::log_in(&gateway, "chief");
    let new = json!({
        "code": "fresh", "name": "新的", "datasource_id": "lite", "query_template": "SELECT n FROM t\nORDER BY n\n",
        "visibility": "public", "auth_required": false, "safe_mode": false,
    });
    let made = chief.asks("POST", "/api/dataservice/interfaces", &[], &new);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json()["meta"]["file"], "definitions/fresh.yaml");
    assert_eq!(
        gateway.get_with("/data-api/fresh", &[]).data().as_array().unwrap().len(),
        3,
        "it serves at once"
    );
    let file = text(&tree, "definitions/fresh.yaml");
    assert!(
        file.starts_with("kind: interface\ncode: fresh\nname: 新的\n")
            && file.contains("query_template: |\n  SELECT n FROM t\n"),
        "{file}"
    );
    assert_eq!(chief.asks("POST", "/api/dataservice/interfaces", &[], &new).status, 409);

    let shown = chief.gets("/api/dataservice/interfaces/fresh");
    let tag = shown.header("etag").unwrap().to_owned();
    let mut changed = shown.data();
    changed["name"] = "Newer".into();
    let path = "/api/dataservice/interfaces/fresh";
    assert_eq!(chief.asks("PUT", path, &[], &changed).status, 428);
    let put = chief.asks("PUT", path, &[("if-match", &tag)], &changed);
    assert_eq!(put.status, 200, "{}", put.text());
    assert!(text(&tree, "definitions/fresh.yaml").contains("\nname: Newer\n"));
    assert!(
        !text(&tree, "definitions/fresh.yaml").contains("version"),
        "what was not written is not written now"
    );
    let late = chief.asks("PUT", path, &[("if-match", &tag)], &changed);
    assert_eq!((late.status, late.code().as_str()), (412, "CONFLICT"), "somebody else was faster");
    let tag = put.header("etag").unwrap().to_owned();
    assert_eq!(chief.asks("DELETE", path, &[("if-match", &tag)], &Value::Null).status, 200);
    assert_eq!(gateway.get("/data-api/fresh").status, 404);
    assert!(!tree.root().join("definitions/fresh.yaml").exists());

    let log = git(&tree, &["log", "--format=%an|%s"]);
    assert_eq!(
        log,
        "chief|Remove fresh@1.0.0\nchief|Change fresh@1.0.0\nchief|Add fresh@1.0.0\nt|Begin"
    );
    assert_eq!(git(&tree, &["status", "--porcelain"]), "");
}

#[test]
fn what_a_person_wrote_stays() {
    let tree = tree();
    let gateway = tree.serve();
    let path = "/api/dataservice/interfaces/sales";
    let token = format!("Bearer {}", gateway.token);
    let put = |change: &dyn Fn(&mut Value)| {
        let shown = gateway.admin_get(path);
        let mut definition = shown.data();
        change(&mut definition);
        let headers =
            [("authorization", token.as_str()), ("if-match", shown.header("etag").unwrap())];
        let answer = gateway.admin_request("PUT", path, &headers, &definition.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    put(&|definition| definition["rate_limit"]["rps"] = 70.into());
    assert_eq!(
        text(&tree, "definitions/sales.yaml"),
        WRITTEN.replace("rps: 50   # a second", "rps: 70  # a second")
    );
    put(&|definition| definition["rate_limit"]["rps"] = 50.into());
    put(&|definition| {
        definition.as_object_mut().unwrap().insert("owner".into(), "me".into());
    });
    assert_eq!(
        text(&tree, "definitions/sales.yaml"),
        WRITTEN.replace("   # a second", "  # a second") + "owner: me\n"
    );
    let disabled = gateway.admin_post(&format!("{path}/status"), "{\"status\":\"disabled\"}");
    assert_eq!(disabled.status, 200, "{}", disabled.text());
    assert_eq!(gateway.get("/data-api/sales").status, 404);
    assert!(text(&tree, "definitions/sales.yaml").ends_with("owner: me\nstatus: disabled\n"));
}

#[test]
fn what_would_not_load_is_not_written() {
    let tree = tree();
    let gateway = tree.serve();
    let bad = json!({ "code": "bad", "datasource_id": "nowhere", "query_template": "SELECT 1" })
        .to_string();
    let refused = gateway.admin_post("/api/dataservice/interfaces", &bad);
    assert_eq!(refused.status, 400);
    let problem = &refused.json()["details"][0];
    assert_eq!(problem["file"], "definitions/bad.yaml");
    assert!(problem["line"].as_u64().unwrap() > 0 && problem["hint"].is_string(), "{problem}");
    assert!(!tree.root().join("definitions/bad.yaml").exists());
    let check = |text: &str| {
        let body = json!({ "text": text }).to_string();
        gateway.admin_post("/api/config/check?path=definitions/sales.yaml", &body).data()["problems"].clone()
    };
    assert_eq!(check(WRITTEN), json!([]));
    assert_eq!(check("kind: [")[0]["code"], "YAML_SYNTAX");
    assert_eq!(check(&WRITTEN.replace("lite", "nowhere"))[0]["line"], 5);
    assert_eq!(text(&tree, "definitions/sales.yaml"), WRITTEN);
    for path in [
        "../x.yaml",
        "definitions/../../x.yaml",
        "/etc/x.yaml",
        "data/x.yaml",
        "definitions/.x.yaml",
        "definitions/x.txt",
    ] {
        let body = json!({ "text": "kind: role\nname: x\n" }).to_string();
        let token = format!("Bearer {}", gateway.token);
        let headers = [("authorization", token.as_str()), ("if-match", "*")];
        let answer =
            gateway.admin_request("PUT", &format!("/api/config/file?path={path}"), &headers, &body);
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
    }
}

#[test]
fn a_form_is_put_into_its_text() {
    let tree = tree();
    let gateway = tree.serve();
    let put = |text: &str, index: usize, definition: Value| {
        let body = json!({ "text": text, "index": index, "definition": definition }).to_string();
        gateway.admin_post("/api/config/check?path=definitions/sales.yaml", &body)
    };
    let mut own = gateway.admin_get("/api/dataservice/interfaces/sales").data();
    own.as_object_mut().unwrap().remove("is_default");
    own["name"] = json!("Other");
    let answer = put(WRITTEN, 0, own.clone());
    // What the API shows and the file does not say stays unsaid.
    assert_eq!(answer.data()["text"], WRITTEN.replace("name: Sales", "name: Other"));
    assert_eq!(answer.data()["problems"], json!([]));
    own["datasource_id"] = json!("nowhere");
    assert_eq!(put(WRITTEN, 0, own.clone()).data()["problems"][0]["line"], 5);
    own["code"] = json!("second");
    own["datasource_id"] = json!("lite");
    own.as_object_mut().unwrap().remove("path");
    let two = put(WRITTEN, 1, own.clone()).data()["text"].as_str().unwrap().to_owned();
    assert!(two.starts_with(WRITTEN) && two.contains("---\nkind: interface\n"), "{two}");
    assert_eq!(put("kind: [", 0, own).status, 409);
    assert_eq!(text(&tree, "definitions/sales.yaml"), WRITTEN);
}

#[test]
fn files_are_edited_as_text() {
    let tree = tree();
    let gateway = tree.serve();
    let file = gateway.admin_get("/api/config/file?path=definitions/sales.yaml");
    assert_eq!(file.data()["text"], WRITTEN);
    let tag = file.header("etag").unwrap().to_owned();
    assert_eq!(file.data()["etag"], tag.as_str());
    let token = format!("Bearer {}", gateway.token);
    let write = |path: &str, headers: &[(&str, &str)], text: &str| {
        let own = [("authorization", token.as_str())];
        let body = json!({ "text": text, "message": "By hand" }).to_string();
        gateway.admin_request(
            "PUT",
            &format!("/api/config/file?path={path}"),
            &[&own, headers].concat(),
            &body,
        )
    };
    let new = WRITTEN.replace("name: Sales", "name: Other");
    assert_eq!(write("definitions/sales.yaml", &[], &new).status, 428);
    assert_eq!(write("definitions/sales.yaml", &[("if-match", "\"old\"")], &new).status, 412);
    let written = write("definitions/sales.yaml", &[("if-match", &tag)], &new);
    assert_eq!(written.status, 200, "{}", written.text());
    assert_eq!(text(&tree, "definitions/sales.yaml"), new);
    assert_eq!(git(&tree, &["log", "-1", "--format=%s %an"]), "By hand admin-token");
    assert_eq!(
        write("policies/new/role.yaml", &[], "kind: role\nname: fresh\n").status,
        200,
        "a new file in a new folder"
    );
    let log = gateway.admin_get("/api/config/log?path=definitions/sales.yaml").data();
    assert_eq!(log.as_array().unwrap().len(), 2);
    let config = gateway.admin_get("/api/config").data();
    assert_eq!(
        (config["edit"].as_str(), config["git"].as_bool(), config["branch"].as_str()),
        (Some("direct"), Some(true), Some("main"))
    );
}

#[test]
fn a_change_can_go_to_a_branch_to_be_reviewed() {
    let tree = tree();
    let gateway = tree.serve();
    let new =
        json!({ "code": "later", "datasource_id": "lite", "query_template": "SELECT 1 AS n" })
            .to_string();
    let made =
        gateway.admin_post("/api/dataservice/interfaces?branch=proposal&message=Please+look", &new);
    assert_eq!(made.status, 201, "{}", made.text());
    assert!(!tree.root().join("definitions/later.yaml").exists());
    assert_eq!(gateway.get("/data-api/later").status, 404);
    assert_eq!(git(&tree, &["status", "--porcelain"]), "");
    assert_eq!(
        git(&tree, &["log", "main..proposal", "--format=%s %an"]),
        "Please look admin-token"
    );
    assert_eq!(
        git(&tree, &["diff", "--name-status", "main", "proposal"]),
        "A\tdefinitions/later.yaml"
    );
    for branch in ["main", "a..b", "-x"] {
        assert_eq!(
            gateway
                .admin_post(&format!("/api/dataservice/interfaces?branch={branch}"), &new)
                .status,
            409,
            "{branch}"
        );
    }
    git(&tree, &["merge", "-q", "proposal"]);
    eventually("the merged change serves", || gateway.get("/data-api/later").status == 200);
}

#[test]
fn versions_are_copied_and_one_is_the_default() {
    let tree = tree();
    let gateway = tree.serve();
    let post = |path: &str, body: Value| {
        gateway.admin_post(&format!("/api/dataservice/interfaces/sales/{path}"), &body.to_string())
    };
    assert_eq!(post("copy", json!({ "code": "sales", "version": "2.0.0" })).status, 201);
    // As it was written, with another version and another status.
    let copied = text(&tree, "definitions/sales-2.0.0.yaml");
    assert!(copied.starts_with("# ") && copied.contains("version: 2.0.0\n"), "{copied}");
    assert_eq!(post("copy", json!({ "code": "sales" })).status, 409);
    assert_eq!(post("copy", json!({ "code": "other", "name": "Other" })).status, 201);
    assert_eq!(
        gateway.admin_get("/api/dataservice/interfaces/other").data()["path"],
        "/data-api/other"
    );
    assert_eq!(post("status?version=2.0.0", json!({ "status": "active" })).status, 200);
    assert_eq!(post("default", json!({ "version": "1.0.0" })).status, 200);
    let versions = gateway.admin_get("/api/dataservice/interfaces/sales/versions").data();
    let shown: Vec<(&str, bool)> = versions
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (v["version"].as_str().unwrap(), v["is_default"].as_bool().unwrap()))
        .collect();
    assert_eq!(shown, [("1.0.0", true), ("2.0.0", false)]);
    assert_eq!(post("default", json!({ "version": "2.0.0" })).status, 200);
    assert!(!text(&tree, "definitions/sales.yaml").contains("default: true"), "one mark at a time");
    assert_eq!(post("default", json!({ "version": "9.0.0" })).status, 404);
    let diff =
        gateway.admin_get("/api/dataservice/interfaces/sales/diff?from=1.0.0&to=2.0.0").data();
    let diff = diff["diff"].as_str().unwrap().to_owned();
    assert!(diff.contains("\n+version: 2.0.0\n") && !diff.contains("-name"), "{diff}");
    assert_eq!(
        gateway.admin_get("/api/dataservice/interfaces/sales/diff?from=1.0.0&to=7.0.0").status,
        404
    );
    let test = json!({ "name": "two rows", "parameters": { "n": 2 }, "expect": { "rows": 2 } });
    assert_eq!(post("tests?version=1.0.0", test).status, 200);
    assert!(
        text(&tree, "definitions/sales.yaml").contains("- name: two rows"),
        "{}",
        text(&tree, "definitions/sales.yaml")
    );
    assert_eq!(
        gateway.admin_get("/api/dataservice/interfaces/sales/changes?version=1.0.0").data()[0]["message"],
        "Add a test to sales@1.0.0"
    );
}

#[test]
fn two_people_edit_one_interface() {
    let tree = tree();
    let gateway = tree.serve();
    for name in ["chief", "clerk"] {
        account(&tree, name, "developer", PASSWORD);
    }
    let (chief, clerk) = (Person::log_in(&gateway, "chief"), Person::log_in(&gateway, "clerk"));
    let path = "/api/dataservice/interfaces/sales";
    let seen = chief.gets(path);
    let tag = seen.header("etag").unwrap();
    let change = |name: &str| {
        let mut definition = seen.data();
        definition["name"] = name.into();
        definition
    };
    let write = |person: &Person<'_>, name: &str| {
        person.asks("PUT", path, &[("if-match", tag)], &change(name)).status
    };
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let first = scope.spawn(|| write(&chief, "Chief's"));
        let second = scope.spawn(|| write(&clerk, "Clerk's"));
        [first, second].into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers == [200, 412] || answers == [412, 200], "{answers:?}");
    let author = git(&tree, &["log", "-1", "--format=%an"]);
    let name = gateway.admin_get(path).data()["name"].as_str().unwrap().to_lowercase();
    assert!(name.starts_with(&author), "{name} by {author}");
}

#[test]
fn editing_can_be_off() {
    let tree = tree();
    let gateway = tree.serve_with(&["--edit", "readonly"]);
    let new = json!({ "code": "x", "datasource_id": "lite", "query_template": "SELECT 1 AS n" })
        .to_string();
    let refused = gateway.admin_post("/api/dataservice/interfaces", &new);
    assert_eq!((refused.status, refused.code().as_str()), (403, "FORBIDDEN"));
    assert_eq!(gateway.admin_get("/api/config").data()["edit"], "readonly");
    assert!(!tree.root().join("definitions/x.yaml").exists());
}

#[test]
fn without_git_only_files_are_written() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (n INTEGER);");
    let gateway = tree.serve();
    let new = json!({ "code": "x", "datasource_id": "lite", "query_template": "SELECT 1 AS n" })
        .to_string();
    let made = gateway.admin_post("/api/dataservice/interfaces", &new);
    assert_eq!((made.status, made.json()["meta"]["commit"].clone()), (201, Value::Null));
    assert_eq!(gateway.get("/data-api/x").status, 200);
}

#[test]
fn definitions_leave_and_come_back() {
    let tree = tree();
    let gateway = tree.serve();
    let json = gateway.admin_get("/api/dataservice/export?format=json&code=sales");
    assert!(json.header("content-disposition").unwrap().contains("interfaces.json"));
    assert_eq!(json.json()[0]["code"], "sales");
    let yaml = gateway.admin_get("/api/dataservice/export?format=yaml").text();
    assert!(yaml.starts_with("kind: interface\ncode: sales\n"), "{yaml}");
    assert_eq!(gateway.admin_get("/api/dataservice/export?format=xml").status, 400);
    let changed = yaml.replace("name: Sales", "name: Imported")
        + "---\nkind: interface\ncode: more\ndatasource_id: lite\nquery_template: SELECT 1 AS n\n";
    let imported = gateway.admin_post("/api/dataservice/import", &changed);
    assert_eq!(imported.data(), json!({ "created": ["more@1.0.0"], "replaced": ["sales@1.0.0"] }));
    assert_eq!(
        text(&tree, "definitions/sales.yaml"),
        WRITTEN.replace("name: Sales", "name: Imported"),
        "comments stay"
    );
    assert_eq!(gateway.get("/data-api/more").status, 200);
    assert_eq!(
        git(&tree, &["log", "-1", "--name-only", "--format=%s"]),
        "Import 2 interfaces\n\ndefinitions/more.yaml\ndefinitions/sales.yaml"
    );
    let half = "[{\"code\":\"a\",\"datasource_id\":\"lite\",\"query_template\":\"SELECT 1 AS n\"},{\"code\":\"b\",\"datasource_id\":\"none\"}]";
    assert_eq!(gateway.admin_post("/api/dataservice/import", half).status, 400);
    assert!(!tree.root().join("definitions/a.yaml").exists(), "all or none");
    for bad in ["", "[", "7", "kind: role\nname: x\n"] {
        assert_eq!(gateway.admin_post("/api/dataservice/import", bad).status, 400, "{bad}");
    }
}

#[test]
fn a_test_run_tells_how_its_answer_came_about() {
    let tree = tree();
    let gateway = tree.serve();
    let path = "/api/dataservice/interfaces/sales/test";
    let run = gateway.admin_post(&format!("{path}?detail=true"), "{\"n\":2}").data();
    assert_eq!(
        (run["status"].as_u64(), run["answer"]["data"].as_array().map(Vec::len)),
        (Some(200), Some(2))
    );
    assert!(run["sql"].as_str().unwrap().contains("WHERE n <= ?1"), "{run}");
    assert_eq!(run["binds"], json!([2]));
    assert!(run["plan"].to_string().contains("SCAN t"), "{run}");
    assert!(run["duration_ms"].as_f64().unwrap() > 0.0);
    let refused = gateway.admin_post(&format!("{path}?detail=true"), "{\"n\":\"x\"}").data();
    assert_eq!(
        (refused["status"].as_u64(), refused["answer"]["code"].as_str()),
        (Some(400), Some("INVALID_PARAM"))
    );
}

#[test]
fn a_definition_has_a_sheet_for_people() {
    let tree = tree();
    let gateway = tree.serve();
    let path = "/api/dataservice/interfaces/sales/sheet";
    let sheet = gateway.admin_get(path);
    assert!(sheet.header("content-disposition").unwrap().contains("sales.xlsx"));
    assert!(sheet.body.starts_with(b"PK"));
    assert_eq!(gateway.admin_get("/api/dataservice/interfaces/none/sheet").status, 404);
}

#[test]
fn reloads_are_remembered_with_what_had_changed() {
    let tree = tree();
    let gateway = tree.serve();
    tree.write("definitions/sales.yaml", "kind: [");
    eventually("the broken file is seen", || {
        gateway.admin_get("/api/status").data()["last_reload"]["ok"] == false
    });
    tree.write("definitions/sales.yaml", WRITTEN);
    eventually("the mended file is seen", || {
        gateway.admin_get("/api/status").data()["last_reload"]["ok"] == true
    });
    let reloads = gateway.admin_get("/api/config/reloads").data();
    let rows = reloads.as_array().unwrap();
    let shown =
        rows.iter().map(|row| (row["ok"].as_bool().unwrap(), row["changed"][0]["path"].as_str()));
    let file = Some("definitions/sales.yaml");
    assert_eq!(shown.collect::<Vec<_>>(), [(true, file), (false, file), (true, None)]);
    let diff = reloads[1]["changed"][0]["diff"].as_str().unwrap();
    assert!(diff.contains("\n-name: Sales\n") && diff.contains("\n+kind: ["), "{diff}");
    assert_eq!(reloads[1]["problems"][0]["code"], "YAML_SYNTAX");
}

#[test]
fn the_example_of_the_first_design_is_taken_as_it_is() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE fact_sales (date TEXT, store_id TEXT, amount REAL, order_id TEXT);");
    let lite = text(&tree, "datasources/lite.yaml");
    tree.write("datasources/dw.yaml", &lite.replace("id: lite", "id: dw_readonly"));
    let gateway = tree.serve();
    let example = include_str!("../../definitions/design_example.json");
    let made = gateway.admin_post("/api/dataservice/interfaces", example);
    assert_eq!(made.status, 201, "{}", made.text());
    let shown = gateway.admin_get("/api/dataservice/interfaces/sales_daily_summary").data();
    let example: Value = serde_json::from_str(example).unwrap();
    assert_eq!(shown, example);
    assert_eq!(
        gateway.get("/data-api/sales_daily_summary?startDate=2025-01-01&endDate=2025-01-31").status,
        200
    );
}

#[test]
fn consumers_and_keys_are_made_and_revoked() {
    let tree = tree();
    let gateway = tree.serve();
    let post = |path: &str, body: Value| gateway.admin_post(path, &body.to_string());
    let roles = json!({ "name": "web_shop", "description": "Shop", "roles": ["all"] });
    assert_eq!(post("/api/consumers", roles.clone()).status, 201);
    assert_eq!(post("/api/consumers", roles).status, 409);
    assert_eq!(post("/api/consumers", json!({ "name": "a b" })).status, 400);
    let unknown = json!({ "name": "other", "roles": ["nobody_s"] });
    assert_eq!(post("/api/consumers", unknown).json()["details"][0]["code"], "DANGLING_REFERENCE");
    let made = post("/api/consumers/web_shop/keys", json!({ "id": "first" }));
    assert_eq!(made.status, 201, "{}", made.text());
    let key = made.json()["data"]["key"].as_str().unwrap().to_owned();
    let call = || gateway.get_with("/data-api/sales", &[("x-api-key", &key)]).status;
    assert_eq!(call(), 200);
    let file = text(&tree, "policies/consumers.yaml");
    assert!(!file.contains(&key) && file.contains("sha256"), "{file}");
    assert_eq!(post("/api/consumers/web_shop/keys", json!({ "id": "first" })).status, 409);
    assert_eq!(post("/api/consumers/nobody/keys", json!({ "id": "first" })).status, 404);
    let wrong = json!({ "id": "second", "expires_at": "soon" });
    assert_eq!(post("/api/consumers/web_shop/keys", wrong).status, 400);
    let callers = gateway.admin_get("/api/dataservice/interfaces/sales/callers").data();
    let names = callers["roles"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|r| r["consumers"].as_array().unwrap());
    assert!(names.clone().any(|name| name == "web_shop"), "{callers}");
    let log = gateway.admin_get("/api/logs/operations?q=web_shop").data();
    assert_eq!(
        log[0]["summary"],
        "the definitions would not load".to_owned().replace("the def", "The def") + "."
    );
    assert!(
        log.as_array()
            .unwrap()
            .iter()
            .any(|row| row["summary"] == "made the key first of web_shop"),
        "{log}"
    );
    let token = format!("Bearer {}", gateway.token);
    let revoke = || {
        let own = [("authorization", token.as_str())];
        gateway.admin_request("DELETE", "/api/consumers/web_shop/keys/first", &own, "").status
    };
    assert_eq!(revoke(), 200);
    assert_eq!(call(), 401);
    assert_eq!(revoke(), 404);
}

#[test]
fn tests_of_a_definition_are_run_and_count_as_no_calls() {
    let tree = tree();
    tree.interface(
        "code: tested\ndatasource_id: lite\naudit: true\ncache: {ttl_seconds: 60}\nquery_template: SELECT 1 AS n\ntests:\n- {name: right, as: tester, expect: {status: 200, rows: 1}}\n- {name: wrong, as: tester, expect: {rows: 7}}\n",
    );
    let gateway = tree.serve();
    let ran = gateway.admin_post("/api/dataservice/interfaces/tested/tests/run", "").data();
    assert_eq!((&ran[0]["name"], &ran[0]["ok"]), (&json!("right"), &json!(true)), "{ran}");
    assert_eq!(ran[1]["problems"][0], "rows: expected 7, got 1");
    let refused = gateway.admin_post(
        "/api/dataservice/interfaces/tested/test",
        &json!({ "as": { "name": "x", "roles": [] }, "parameters": {} }).to_string(),
    );
    assert_eq!(refused.status, 403, "{}", refused.text());
    let log = gateway.admin_get("/api/logs/calls?code=tested").data();
    assert_eq!(log.as_array().unwrap().len(), 3);
    assert!(log.as_array().unwrap().iter().all(|row| row["kind"] == "test"), "{log}");
    assert_eq!(gateway.admin_get("/api/monitor/interfaces?q=tested").data(), json!([]));
    let series = "tidegate_response_rows_total{interface=\"tested\",version=\"1.0.0\"}";
    assert_eq!(gateway.metric(series).unwrap_or_default(), 0.0);
    let did = gateway.admin_get("/api/logs/operations").data();
    assert_eq!(did[0]["summary"], "tried tested@1.0.0 as x: 403");
    assert_eq!(did[1]["summary"], "ran 2 tests of tested@1.0.0: 1 failed");
}

#[test]
fn what_is_not_committed_and_what_a_commit_changed_is_shown() {
    let tree = tree();
    let gateway = tree.serve();
    let body = json!({ "status": "disabled" }).to_string();
    gateway.admin_post("/api/dataservice/interfaces/sales/status", &body);
    tree.write("definitions/more/new.yaml", "kind: role\nname: fresh\ngrants: []\n");
    let config = gateway.admin_get("/api/config").data();
    assert_eq!(config["uncommitted"], json!(["definitions/more/new.yaml"]));
    let id = config["commit"].as_str().unwrap();
    let commit = gateway.admin_get(&format!("/api/config/commit?id={id}")).data();
    assert!(commit["diff"].as_str().unwrap().contains("+status: disabled"), "{commit}");
    assert_eq!(commit["message"], "Make disabled sales@1.0.0");
    for bad in ["", "HEAD", "--help", "0000000000000000000000000000000000000000"] {
        assert_eq!(gateway.admin_get(&format!("/api/config/commit?id={bad}")).status, 404);
    }
}
