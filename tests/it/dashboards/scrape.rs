//! A gateway in which everything happened once, and what it shows: metrics, their labels, the values of these.

use std::collections::{BTreeMap, BTreeSet};

use jsonwebtoken::Algorithm;
use regex::Regex;
use serde_json::json;

use crate::access::issuer::Signer;
use crate::support::{Tidegate, Tree};

/// Metric → label → values.
pub type Shown = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// A gateway that has a datasource, a cache, an audit log and an issuer with a key set by address, after calls that went well
/// and calls that did not.
pub fn gateway() -> (Tree, Tidegate) {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    tree.interface(
        "code: n\ndatasource_id: lite\ncache: {ttl_seconds: 60}\naudit: true\nrate_limit: {rps: 1000}\n\
         query_template: SELECT 1 AS n\n",
    );
    tree.interface(
        "code: wrong\ndatasource_id: lite\nquery_template: SELECT a FROM nothing WHERE a = 1\n",
    );
    let keys = json!({"keys": [Signer::new(Algorithm::EdDSA).public]}).to_string();
    let address = served(keys);
    tree.write(
        "policies/sso.yaml",
        &format!(
            "kind: jwt_issuer\nname: sso\nissuer: https://sso.example.com\naudience: tidegate\n\
             keys: {{jwks_url: \"{address}\"}}\nroles_claim: roles\n"
        ),
    );
    let gateway = tree.serve();
    for (path, status) in [
        ("/data-api/n", 200),
        ("/data-api/n", 200),
        ("/data-api/n?x=1", 400),
        ("/nowhere", 404),
        ("/data-api/wrong", 502),
    ] {
        assert_eq!(gateway.get(path).status, status, "{path}");
    }
    assert_eq!(gateway.get_with("/data-api/n", &[("x-api-key", "wrong")]).status, 401);
    crate::support::eventually("the issuer's keys are fetched", || {
        gateway.metric("tidegate_jwks_keys{issuer=\"sso\"}") == Some(1.0)
    });
    (tree, gateway)
}

/// An address that answers everybody with this text, as long as the tests run.
fn served(text: String) -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/keys.json", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{text}", text.len());
        }
    });
    address
}

/// What `/metrics` shows, as Prometheus stores it: with `job` and `instance`, and its own `up`.
pub fn shown(gateway: &Tidegate) -> Shown {
    let (sample, label) =
        (Regex::new(r"^([a-z_:]+)(?:\{(.*)\})? \S+$"), Regex::new(r#"([a-z_]+)="([^"]*)""#));
    let (sample, label) = (sample.unwrap(), label.unwrap());
    let mut shown = Shown::new();
    shown.entry("up".to_owned()).or_default();
    for line in gateway.admin_get("/metrics").text().lines().filter(|line| !line.starts_with('#')) {
        let parts = sample.captures(line).unwrap_or_else(|| panic!("no sample: {line}"));
        let labels = shown.entry(parts[1].to_owned()).or_default();
        for pair in label.captures_iter(parts.get(2).map_or("", |labels| labels.as_str())) {
            labels.entry(pair[1].to_owned()).or_default().insert(pair[2].to_owned());
        }
    }
    for labels in shown.values_mut() {
        labels.insert("job".to_owned(), BTreeSet::from(["tidegate".to_owned()]));
        labels.insert("instance".to_owned(), BTreeSet::new());
    }
    shown
}
