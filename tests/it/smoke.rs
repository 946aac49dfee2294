//! The gateway serves a tree: the shortest way through everything.

use serde_json::json;

use crate::support::Tree;

#[test]
fn a_query_becomes_an_api() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b');");
    tree.interface(
        "code: names\ndatasource_id: lite\nparameters: [{name: id, type: integer, required: true}]\n\
         query_template: SELECT id, name FROM t WHERE id = :id\n",
    );
    let gateway = tree.serve();
    let answer = gateway.get("/data-api/names?id=2");
    let expected = json!({"code": "OK", "message": "OK", "success": true, "data": [{"id": 2, "name": "b"}], "meta": {}});
    assert_eq!(answer.json(), expected);
    assert_eq!(gateway.get_with("/data-api/names?id=2", &[]).code(), "UNAUTHORIZED");
}
