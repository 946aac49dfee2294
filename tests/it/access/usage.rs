//! The use of keys as the admin API shows it, and keys that take one another's place.

use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{whoami, with_key};
use crate::support::{KEY, Tidegate, Tree, sha256};

fn tree() -> Tree {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    whoami(&tree, "who", "");
    tree
}

fn shop(tree: &Tree, keys: &[(&str, &str, &str)]) {
    let mut yaml = "kind: consumer\nname: shop\ndescription: 门店看板\nroles: [all]\n\
                    claims: {region: secret-region}\napi_keys:\n"
        .to_owned();
    for (id, key, expires) in keys {
        yaml += &format!("  - {{id: {id}, sha256: \"{}\"{expires}}}\n", sha256(key));
    }
    tree.write("policies/shop.yaml", &yaml);
}

fn consumers(gateway: &Tidegate, query: &str) -> Vec<Value> {
    let answer = gateway.admin_get(&format!("/api/consumers{query}"));
    answer.data().as_array().unwrap().clone()
}

fn last_used(gateway: &Tidegate, id: &str) -> Option<Timestamp> {
    let all = consumers(gateway, "?q=shop");
    let keys = all[0]["api_keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["id"] == id).unwrap();
    key["last_used_at"].as_str().map(|text| text.parse().unwrap())
}

#[test]
fn consumers_are_listed_with_their_keys() {
    let tree = tree();
    shop(
        &tree,
        &[
            ("new", "new-key", ", expires_at: \"2999-12-31\""),
            ("old", "old-key", ", expires_at: \"2020-01-01T08:00:00+08:00\""),
        ],
    );
    let gateway = tree.serve();
    let all = consumers(&gateway, "");
    assert_eq!(all.len(), 2);
    let expected = json!({
        "name": "shop", "description": "门店看板", "roles": ["all"],
        "api_keys": [
            {"id": "new", "expires_at": "3000-01-01T00:00:00Z", "is_expired": false, "last_used_at": null},
            {"id": "old", "expires_at": "2020-01-01T00:00:00Z", "is_expired": true, "last_used_at": null},
        ],
    });
    assert_eq!(all[0], expected);
    assert_eq!((&all[1]["name"], &all[1]["description"]), (&json!("tester"), &Value::Null));
    assert_eq!(all[1]["api_keys"][0]["expires_at"], Value::Null);
    // Searched and in pages, as interfaces are.
    assert_eq!(consumers(&gateway, "?q=%E9%97%A8%E5%BA%97").len(), 1);
    assert_eq!(consumers(&gateway, "?pageSize=1&page=2")[0]["name"], "tester");
    assert_eq!(gateway.admin_get("/api/consumers?page=0").status, 400);
    assert_eq!(gateway.admin_get_with("/api/consumers", &[]).status, 401);
    let text = gateway.admin_get("/api/consumers").text();
    for secret in [&sha256("new-key"), &sha256(KEY), "secret-region", "claims", "sha256"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[test]
fn the_last_use_of_a_key_is_told_and_kept() {
    let tree = tree();
    let keys = [
        ("a", "key-a", ""),
        ("b", "key-b", ""),
        ("old", "key-old", ", expires_at: \"2020-01-01\""),
    ];
    shop(&tree, &keys);
    let mut gateway = tree.serve();
    let before = Timestamp::now().as_second();
    assert_eq!(with_key(&gateway, "who", "key-a"), 200);
    assert_eq!(with_key(&gateway, "who", "key-old"), 401);
    assert_eq!(with_key(&gateway, "who", "key-c"), 401);
    let used = last_used(&gateway, "a").unwrap();
    assert!((before..=Timestamp::now().as_second()).contains(&used.as_second()), "{used}");
    assert_eq!(last_used(&gateway, "b"), None);
    assert_eq!(last_used(&gateway, "old"), None, "a refused call is no use");
    // Across reloads, also of one that leaves the key out for a while.
    shop(&tree, &keys[1..]);
    gateway.reload();
    assert_eq!(with_key(&gateway, "who", "key-a"), 401);
    shop(&tree, &keys);
    gateway.reload();
    assert_eq!(last_used(&gateway, "a"), Some(used));
    // And across a stop.
    assert!(gateway.stop().success());
    let gateway = tree.serve();
    assert_eq!(last_used(&gateway, "a"), Some(used));
    assert_eq!(last_used(&gateway, "b"), None);
}

#[test]
fn keys_take_turns_without_a_gap() {
    let tree = tree();
    shop(&tree, &[("first", "key-0", "")]);
    let gateway = tree.serve();
    let is_done = AtomicBool::new(false);
    let current = RwLock::new("key-0".to_owned());
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut calls = 0;
                    while !is_done.load(Relaxed) {
                        // Held for the call: who has the old key in hand has it until the answer is there.
                        let key = current.read().unwrap();
                        assert_eq!(with_key(&gateway, "who", &key), 200, "{key}");
                        calls += 1;
                    }
                    calls
                })
            })
            .collect();
        for turn in 0..5 {
            let (old, new) = (format!("key-{turn}"), format!("key-{}", turn + 1));
            // Both; then callers change over; then the old one goes, once nobody has it in hand any more.
            shop(&tree, &[("old", &old, ""), ("new", &new, "")]);
            gateway.reload();
            current.write().unwrap().clone_from(&new);
            for _ in 0..5 {
                assert_eq!(with_key(&gateway, "who", &old), 200);
            }
            shop(&tree, &[("new", &new, "")]);
            gateway.reload();
            assert_eq!(with_key(&gateway, "who", &old), 401);
        }
        is_done.store(true, Relaxed);
        for caller in callers {
            assert!(caller.join().unwrap() > 10);
        }
    });
}
