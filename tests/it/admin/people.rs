//! Logging in: accounts, sessions, roles, forged requests, lock-out, API tokens, the journal.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Answer, Tidegate, Tree, eventually, tidegate};

pub const PASSWORD: &str = "correct horse battery";

/// Somebody with a browser.
pub struct Person<'a> {
    gateway: &'a Tidegate,
    cookie: String,
    csrf: String,
}

impl<'a> Person<'a> {
    pub fn of(gateway: &'a Tidegate, answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let cookie = answer.header("set-cookie").unwrap().to_owned();
        let csrf = answer.data()["csrf_token"].as_str().unwrap().to_owned();
        Self { gateway, cookie: cookie.split(';').next().unwrap().to_owned(), csrf }
    }

    pub fn log_in(gateway: &'a Tidegate, username: &str) -> Self {
        Self::of(gateway, &log_in(gateway, username, PASSWORD))
    }

    pub fn asks(&self, method: &str, path: &str, more: &[(&str, &str)], body: &Value) -> Answer {
        let own = [("cookie", self.cookie.as_str()), ("x-csrf-token", &self.csrf)];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.gateway.admin_request(method, path, &[&own, more].concat(), &body)
    }

    pub fn gets(&self, path: &str) -> Answer {
        self.asks("GET", path, &[], &Value::Null)
    }
}

fn log_in(gateway: &Tidegate, username: &str, password: &str) -> Answer {
    let body = json!({ "username": username, "password": password });
    gateway.admin_request("POST", "/api/session", &[], &body.to_string())
}

/// Makes an account by the command line, beside the running process.
pub fn account(tree: &Tree, username: &str, role: &str, password: &str) -> (bool, String) {
    let mut child = tidegate()
        .args(["admin", "create", username, "--role", role, "--root"])
        .arg(tree.root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned())
}

fn tree() -> Tree {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (n INTEGER);");
    tree.interface("code: one\ndatasource_id: lite\nquery_template: SELECT 1 AS n\n");
    tree
}

#[test]
fn the_first_account_is_made_by_the_link_that_the_start_prints() {
    let tree = tree();
    let gateway = tree.serve();
    assert_eq!(
        gateway.admin_request("GET", "/api/setup", &[], "").data(),
        json!({ "needed": true })
    );
    eventually("the link is printed", || gateway.log().contains("/#/setup?token="));
    let log = gateway.log();
    let token = log.split("/#/setup?token=").nth(1).unwrap();
    let token: String =
        token.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    let setup = |token: &str, password: &str| {
        let body = json!({ "token": token, "username": "chief", "password": password });
        gateway.admin_request("POST", "/api/setup", &[], &body.to_string())
    };
    assert_eq!(setup("wrong", PASSWORD).status, 401);
    assert_eq!(setup(&token, "short").status, 400);
    let chief = Person::of(&gateway, &setup(&token, PASSWORD));
    assert_eq!(chief.gets("/api/session").data()["role"], "admin");
    assert_eq!(setup(&token, PASSWORD).status, 401, "it works once");
    assert_eq!(
        gateway.admin_request("GET", "/api/setup", &[], "").data(),
        json!({ "needed": false })
    );
    drop(gateway);
    assert!(!tree.serve().log().contains("/#/setup"), "nobody is invited any more");
}

#[test]
fn accounts_are_made_by_the_command_line_too() {
    let tree = tree();
    let gateway = tree.serve();
    assert!(account(&tree, "chief", "admin", PASSWORD).0);
    for (username, role, password, word) in [
        ("chief", "admin", PASSWORD, "already"),
        ("clerk", "king", PASSWORD, "roles"),
        ("clerk", "viewer", "short", "10"),
        ("b b", "viewer", PASSWORD, "letters"),
    ] {
        let (is_made, said) = account(&tree, username, role, password);
        assert!(!is_made && said.contains(word), "{said}");
    }
    Person::log_in(&gateway, "chief");
}

#[test]
fn a_session_is_a_cookie_that_scripts_cannot_read() {
    let tree = tree();
    let gateway = tree.serve();
    account(&tree, "chief", "admin", PASSWORD);
    let answer = log_in(&gateway, "chief", PASSWORD);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.contains("HttpOnly")
            && cookie.contains("SameSite=Strict")
            && cookie.contains("Path=/"),
        "{cookie}"
    );
    let chief = Person::of(&gateway, &answer);
    assert_eq!(chief.gets("/api/status").status, 200);
    let out = chief.asks("DELETE", "/api/session", &[], &Value::Null);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(chief.gets("/api/status").status, 401);
    for cookie in ["tidegate_session=", "tidegate_session=x", "other=1"] {
        assert_eq!(gateway.admin_get_with("/api/status", &[("cookie", cookie)]).status, 401);
    }
}

#[test]
fn a_forged_request_changes_nothing() {
    let tree = tree();
    let gateway = tree.serve();
    account(&tree, "chief", "admin", PASSWORD);
    let chief = Person::log_in(&gateway, "chief");
    let own = format!("http://127.0.0.1:{}", gateway.admin_port);
    let cookie = ("cookie", chief.cookie.as_str());
    let csrf = ("x-csrf-token", chief.csrf.as_str());
    let status =
        |headers: &[(&str, &str)]| gateway.admin_request("POST", "/api/reload", headers, "").status;
    assert_eq!(status(&[cookie, csrf]), 200);
    assert_eq!(status(&[cookie, csrf, ("origin", &own)]), 200);
    assert_eq!(status(&[cookie]), 403);
    assert_eq!(status(&[cookie, ("x-csrf-token", "x")]), 403);
    assert_eq!(status(&[cookie, csrf, ("origin", "http://evil.example")]), 403);
    assert_eq!(status(&[cookie, csrf, ("origin", "null")]), 403);
    assert_eq!(status(&[csrf]), 401);
    let body = json!({ "username": "chief", "password": PASSWORD }).to_string();
    let evil = [("origin", "http://evil.example")];
    assert_eq!(
        gateway.admin_request("POST", "/api/session", &evil, &body).status,
        403,
        "nor logs anybody in"
    );
}

#[test]
fn roles_decide_what_one_may_do() {
    let tree = tree();
    let gateway = tree.serve();
    for role in ["viewer", "developer", "operator", "admin"] {
        account(&tree, role, role, PASSWORD);
    }
    let routes = [
        ("GET", "/api/status", 0),
        ("GET", "/api/dataservice/interfaces", 0),
        ("GET", "/api/config", 0),
        ("GET", "/api/config/file?path=definitions/none.yaml", 0),
        ("GET", "/api/logs/calls", 0),
        ("POST", "/api/dataservice/interfaces/one/test", 1),
        ("POST", "/api/dataservice/interfaces", 1),
        ("PUT", "/api/dataservice/interfaces/one", 1),
        ("DELETE", "/api/dataservice/interfaces/one", 1),
        ("PUT", "/api/config/file?path=definitions/x.yaml", 1),
        ("POST", "/api/config/check?path=definitions/x.yaml", 1),
        ("POST", "/api/reload", 2),
        ("GET", "/api/sessions", 2),
        ("GET", "/api/logs/operations", 2),
        ("GET", "/api/logs/logins", 2),
        ("GET", "/api/accounts", 3),
        ("POST", "/api/accounts", 3),
    ];
    for (rank, role) in ["viewer", "developer", "operator", "admin"].iter().enumerate() {
        let person = Person::log_in(&gateway, role);
        for (method, path, least) in routes {
            let status = person.asks(method, path, &[], &Value::Null).status;
            assert_eq!(status == 403, rank < least, "{role}: {method} {path} gave {status}");
        }
    }
}

#[test]
fn failed_logins_lock_and_are_kept() {
    let tree = tree();
    let gateway = tree.serve();
    account(&tree, "chief", "admin", PASSWORD);
    account(&tree, "clerk", "viewer", PASSWORD);
    for _ in 0..5 {
        let refused = log_in(&gateway, "clerk", "wrong password");
        assert_eq!((refused.status, refused.code().as_str()), (401, "UNAUTHORIZED"));
    }
    assert_eq!(
        log_in(&gateway, "nobody", "wrong password").text(),
        log_in(&gateway, "chief", "wrong").text()
    );
    let locked = log_in(&gateway, "clerk", PASSWORD);
    assert_eq!((locked.status, locked.code().as_str()), (429, "RATE_LIMITED"));
    let wait: u64 = locked.header("retry-after").unwrap().parse().unwrap();
    assert!((800..=901).contains(&wait), "{wait}");
    let chief = Person::log_in(&gateway, "chief");
    let rows = chief.gets("/api/logs/logins?username=clerk").data();
    let reasons: Vec<&str> =
        rows.as_array().unwrap().iter().map(|row| row["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["locked", "wrong", "wrong", "wrong", "wrong", "wrong"]);
    let csv = chief.gets("/api/logs/logins?username=clerk&format=csv");
    assert!(csv.header("content-disposition").unwrap().contains("logins.csv"));
    assert_eq!(csv.text().lines().count(), 7);
}

#[test]
fn accounts_change_and_one_admin_stays() {
    let tree = tree();
    let gateway = tree.serve();
    account(&tree, "chief", "admin", PASSWORD);
    let chief = Person::log_in(&gateway, "chief");
    let new = json!({ "username": "clerk", "password": PASSWORD, "role": "viewer" });
    assert_eq!(chief.asks("POST", "/api/accounts", &[], &new).status, 201);
    assert_eq!(chief.asks("POST", "/api/accounts", &[], &new).status, 409);
    let odd = json!({ "username": "other", "password": PASSWORD, "role": "king" });
    assert_eq!(chief.asks("POST", "/api/accounts", &[], &odd).status, 400);
    let clerk = Person::log_in(&gateway, "clerk");
    let patch = |name: &str, change: Value| {
        chief.asks("PATCH", &format!("/api/accounts/{name}"), &[], &change).status
    };
    assert_eq!(patch("clerk", json!({ "role": "developer" })), 200);
    assert_eq!(clerk.gets("/api/status").status, 401, "its sessions end");
    assert_eq!(patch("clerk", json!({ "disabled": true })), 200);
    assert_eq!(log_in(&gateway, "clerk", PASSWORD).status, 401);
    assert_eq!(patch("none", json!({ "disabled": true })), 404);
    assert_eq!(patch("chief", json!({ "role": "viewer" })), 409);
    assert_eq!(chief.asks("DELETE", "/api/accounts/chief", &[], &Value::Null).status, 409);
    assert_eq!(chief.asks("DELETE", "/api/accounts/clerk", &[], &Value::Null).status, 200);
    let names: Vec<Value> = chief
        .gets("/api/accounts")
        .data()
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["username"].clone())
        .collect();
    assert_eq!(names, ["chief"]);
    assert!(!chief.gets("/api/accounts").text().contains("argon2"), "no hash leaves");
}

#[test]
fn people_change_their_password_and_see_who_is_online() {
    let tree = tree();
    let gateway = tree.serve();
    account(&tree, "chief", "admin", PASSWORD);
    let (here, there) = (Person::log_in(&gateway, "chief"), Person::log_in(&gateway, "chief"));
    let change = |old: &str, new: &str| {
        here.asks(
            "PUT",
            "/api/session/password",
            &[],
            &json!({ "old_password": old, "new_password": new }),
        )
        .status
    };
    assert_eq!(change("wrong", "another long one"), 400);
    assert_eq!(change(PASSWORD, "short"), 400);
    assert_eq!(there.gets("/api/session").status, 200);
    assert_eq!(change(PASSWORD, "another long one"), 200);
    assert_eq!(there.gets("/api/session").status, 401, "other sessions end");
    assert_eq!(log_in(&gateway, "chief", PASSWORD).status, 401);
    let third = Person::of(&gateway, &log_in(&gateway, "chief", "another long one"));
    let online = here.gets("/api/sessions").data();
    let other = online.as_array().unwrap().iter().find(|row| row["current"] == false).unwrap();
    assert_eq!(other["ip"], "127.0.0.1");
    let path = format!("/api/sessions/{}", other["id"].as_str().unwrap());
    assert_eq!(here.asks("DELETE", &path, &[], &Value::Null).status, 200);
    assert_eq!(third.gets("/api/session").status, 401);
}

#[test]
fn scripts_have_tokens_of_their_own() {
    let tree = tree();
    let gateway = tree.serve();
    account(&tree, "chief", "developer", PASSWORD);
    let chief = Person::log_in(&gateway, "chief");
    let make = |body: Value| chief.asks("POST", "/api/tokens", &[], &body);
    assert_eq!(make(json!({ "name": "x", "role": "admin" })).status, 403);
    assert_eq!(make(json!({ "name": "" })).status, 400);
    let made = make(json!({ "name": "ci", "role": "viewer", "expires_in_days": 1 }));
    assert_eq!(made.status, 201);
    let token = made.json()["data"]["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let script = [("authorization", bearer.as_str())];
    assert_eq!(gateway.admin_get_with("/api/status", &script).status, 200);
    assert_eq!(
        gateway.admin_request("POST", "/api/dataservice/interfaces/one/test", &script, "{}").status,
        403
    );
    assert_eq!(
        gateway.admin_request("POST", "/api/tokens", &script, "{\"name\":\"y\"}").status,
        403
    );
    let rows = chief.gets("/api/tokens").data();
    assert!(rows[0]["last_used_at"].is_string() && !rows.to_string().contains(&token), "{rows}");
    let path = format!("/api/tokens/{}", rows[0]["id"].as_str().unwrap());
    assert_eq!(chief.asks("DELETE", &path, &[], &Value::Null).status, 200);
    assert_eq!(gateway.admin_get_with("/api/status", &script).status, 401);
}

#[test]
fn what_people_do_is_kept() {
    let tree = tree();
    let gateway = tree.serve();
    account(&tree, "chief", "admin", PASSWORD);
    account(&tree, "clerk", "viewer", PASSWORD);
    let (chief, clerk) = (Person::log_in(&gateway, "chief"), Person::log_in(&gateway, "clerk"));
    assert_eq!(chief.asks("POST", "/api/reload", &[], &Value::Null).status, 200);
    assert_eq!(clerk.asks("POST", "/api/reload", &[], &Value::Null).status, 403);
    chief.gets("/api/status");
    let rows = chief.gets("/api/logs/operations").data();
    let seen: Vec<(String, u64)> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                format!(
                    "{} {} {}",
                    row["username"].as_str().unwrap(),
                    row["method"].as_str().unwrap(),
                    row["path"].as_str().unwrap()
                ),
                row["status"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [("clerk POST /api/reload".to_owned(), 403), ("chief POST /api/reload".to_owned(), 200)]
    );
    assert_eq!(chief.gets("/api/logs/operations?username=clerk").json()["meta"]["total"], 1);
    assert_eq!(chief.gets("/api/logs/operations?from=yesterday").status, 400);
    assert_eq!(
        chief.gets("/api/logs/operations?to=2020-01-01T00:00:00Z").json()["meta"]["total"],
        0
    );
}
