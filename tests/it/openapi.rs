//! `/openapi.json` says what is so: real answers fit the schemas in it, and what it describes is what is taken.

use serde_json::{Value, json};

use crate::support::{Answer, KEY, Tidegate, Tree};

const SALES: &str = "CREATE TABLE sale (id INTEGER PRIMARY KEY, day TEXT, amount NUMERIC, open INTEGER, note TEXT);
    INSERT INTO sale VALUES (1, '2025-01-01', 10.5, 1, NULL), (2, '2025-01-02', 20, 0, 'x'), (3, '2025-02-01', NULL, NULL, 'y');";

fn document(gateway: &Tidegate) -> Value {
    gateway.get("/openapi.json").json()
}

/// Checks an answer against the schema that the document gives for its status.
fn fits(document: &Value, path: &str, method: &str, answer: &Answer) {
    let response = &document["paths"][path][method]["responses"][answer.status.to_string()];
    let response = match response["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => response,
    };
    assert!(response.is_object(), "{path} does not describe {}", answer.status);
    for (name, header) in response["headers"].as_object().unwrap() {
        let header = document.pointer(&header["$ref"].as_str().unwrap()[1..]).unwrap();
        let is_there = answer.header(&name.to_ascii_lowercase()).is_some();
        assert!(is_there || header["required"] == false, "{path}: no {name}");
    }
    // The references of the schema start from the document's root.
    let mut schema = document.clone();
    schema["allOf"] = json!([response["content"]["application/json"]["schema"]]);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&answer.json()).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{path}: {errors:?} in {}", answer.text());
}

fn parameter<'a>(operation: &'a Value, name: &str) -> &'a Value {
    let parameters = operation["parameters"].as_array().unwrap();
    parameters.iter().find(|parameter| parameter["name"] == name).unwrap()
}

#[test]
fn answers_fit_what_is_said_of_them() {
    let tree = Tree::new();
    tree.sqlite(SALES);
    tree.interface(
        "code: sales\ndatasource_id: lite\nparameters: [{name: id, type: integer}]\n\
         query_template: SELECT id, day, amount, open, note FROM sale WHERE :id IS NULL OR id = :id\n\
         pagination: {max_page_size: 2}\ncache: {ttl_seconds: 60}\nrate_limit: {rps: 1, burst: 4}\n\
         fields:\n  - {name: id, type: integer, title: 编号}\n  - {name: day, type: date}\n  - {name: amount, type: decimal, description: 元}\n  \
         - {name: open, type: boolean}\n  - {name: note, title: 备注}\n\
         transform: {value_map: {open: {1: 营业}}, summary: {amount: sum, id: count}}\n\
         total: {query_template: SELECT COUNT(*) AS n FROM sale}\n",
    );
    tree.interface(
        "code: checked\ndatasource_id: lite\nquery_template: SELECT id FROM sale WHERE id < 3\n\
         response_schema:\n  $defs: {row: {type: object, required: [id]}}\n  required: [data]\n  \
         properties: {data: {type: array, items: {$ref: '#/$defs/row'}}}\n\
         example: {code: OK, message: OK, success: true, data: [{id: 1}], meta: {}}\n",
    );
    tree.interface(
        "code: change\ndatasource_id: lite\nmethod: POST\nsafe_mode: false\nparameters: [{name: id, type: integer, required: true}]\n\
         query_template: SELECT id FROM sale WHERE id = :id\n",
    );
    let gateway = tree.serve();
    let document = document(&gateway);
    assert_eq!(document["openapi"], "3.1.0");

    let sales = gateway.get("/data-api/sales?pageSize=2");
    assert_eq!(sales.data().as_array().unwrap().len(), 2);
    fits(&document, "/data-api/sales", "get", &sales);
    fits(&document, "/data-api/sales", "get", &gateway.get("/data-api/sales?id=x&y=1"));
    fits(&document, "/data-api/sales", "get", &gateway.get_with("/data-api/sales", &[]));
    fits(&document, "/data-api/sales", "get", &gateway.get("/data-api/sales?version=9.9.9"));
    fits(&document, "/data-api/sales", "get", &gateway.post("/data-api/sales", "{}"));
    let limited = (0..9).map(|_| gateway.get("/data-api/sales")).find(|a| a.status == 429);
    fits(&document, "/data-api/sales", "get", &limited.unwrap());
    fits(&document, "/data-api/checked", "get", &gateway.get("/data-api/checked"));
    fits(&document, "/data-api/change", "post", &gateway.post("/data-api/change", "{\"id\": 1}"));

    let columns = "/paths/~1data-api~1sales/get/responses/200/content/application~1json/schema/properties/data/items/properties";
    let columns = document.pointer(columns).unwrap();
    assert_eq!(columns["id"], json!({"title": "编号", "type": ["integer", "null"]}));
    assert_eq!(columns["amount"], json!({"description": "元", "type": ["number", "null"]}));
    // A label may be anything, and so may a column without a type.
    assert_eq!((&columns["open"], &columns["note"]), (&json!({}), &json!({"title": "备注"})));
    let own = &document["components"]["schemas"]["checked-1.0.0"]["properties"]["data"]["items"];
    assert_eq!(own["$ref"], "#/components/schemas/checked-1.0.0/$defs/row");
    // Also without a rate limit: bad credentials have one.
    assert!(document["paths"]["/data-api/checked"]["get"]["responses"]["429"].is_object());
}

#[test]
fn parameters_are_said_as_they_are_taken() {
    let tree = Tree::new();
    tree.sqlite(SALES);
    tree.interface(
        "code: all\ndatasource_id: lite\nparameters:\n  - {name: month, type: date, format: yyyy-MM, default: 2025-02, minimum: 2024-01, title: 月}\n  \
         - {name: code, pattern: '^\\d{3}$'}\n  - {name: word, pattern: '(?i)^a+$'}\n  - {name: tags, type: array, items: {type: integer}}\n  \
         - {name: X-Ids, in: header, type: array, items: {type: integer}}\n  - {name: filter, type: object, in: query}\n\
         param_binding: {ids: $.parameters.X-Ids}\n\
         query_template: 'SELECT :month AS month, :code AS code, :word AS word, :tags AS tags, :ids AS ids, :filter AS filter'\n",
    );
    tree.interface(
        "code: body\ndatasource_id: lite\nmethod: POST\nparameters:\n  - {name: kind, enum: [a, b]}\n  - {name: n, type: integer, required: true, maximum: 10}\n\
         query_template: 'SELECT :kind AS kind, :n AS n'\n",
    );
    let gateway = tree.serve();
    let document = document(&gateway);
    let all = &document["paths"]["/data-api/all"]["get"];
    let month = &parameter(all, "month")["schema"];
    let expected = json!({
        "type": "string", "format": "yyyy-MM", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$",
        "formatMinimum": "2024-01", "default": "2025-02", "title": "月",
    });
    assert_eq!(*month, expected);
    assert_eq!(parameter(all, "code")["schema"]["pattern"], "^[0-9]{3}$");
    assert_eq!(parameter(all, "word")["schema"]["x-pattern"], "(?i)^a+$");
    assert_eq!(parameter(all, "tags")["schema"]["maxItems"], 1000);
    assert!(parameter(all, "filter")["content"]["application/json"]["schema"].is_object());
    assert_eq!(parameter(all, "version")["schema"]["enum"], json!(["1.0.0"]));
    let formats = json!(["json", "csv", "ndjson", "xlsx"]);
    assert_eq!(parameter(all, "format")["schema"]["enum"], formats);

    let row = |path: &str| gateway.get(path).data()[0].clone();
    assert_eq!(row("/data-api/all?code=123")["month"], "2025-02-01");
    assert_eq!(gateway.get("/data-api/all?code=%D9%A1%D9%A2%D9%A3").status, 400);
    for (given, taken) in [("1, 2", "[1,2]"), ("", "[]")] {
        let answer = gateway.get_with("/data-api/all", &[("x-api-key", KEY), ("x-ids", given)]);
        assert_eq!(answer.data()[0]["ids"], taken, "{given:?}");
    }

    let body = &document["paths"]["/data-api/body"]["post"]["requestBody"];
    assert_eq!(body["required"], true);
    let schema = &body["content"]["application/json"]["schema"];
    assert_eq!(schema["required"], json!(["n"]));
    assert_eq!(schema["additionalProperties"], false);
    let kind = json!({"type": ["string", "null"], "enum": ["a", "b", null]});
    assert_eq!(schema["properties"]["kind"], kind);
    for (sent, n) in [("{\"n\": 1.0, \"kind\": null}", 1), ("{\"n\": 1e1}", 10)] {
        assert_eq!(gateway.post("/data-api/body", sent).data()[0]["n"], n, "{sent}");
    }
    for sent in ["{\"n\": 1.5}", "{\"n\": 1e2}", "{\"n\": null}", "{\"n\": 1, \"kind\": \"c\"}"] {
        assert_eq!(gateway.post("/data-api/body", sent).status, 400, "{sent}");
    }
}

#[test]
fn versions_are_said_apart() {
    let tree = Tree::new();
    tree.sqlite(SALES);
    for (version, keys) in [
        ("1.0.0", "parameters: []\nquery_template: SELECT 1 AS a\n"),
        ("2.0.0", "parameters: [{name: x}]\nquery_template: 'SELECT :x AS a'\n"),
        ("2.1.0", "parameters: [{name: x}]\nquery_template: 'SELECT :x AS b'\n"),
        ("3.0.0", "method: POST\nparameters: [{name: y}]\nquery_template: 'SELECT :y AS a'\n"),
        ("4.0.0", "status: draft\nquery_template: SELECT 1 AS a\n"),
    ] {
        let is_default = version == "2.0.0";
        tree.interface(&format!(
            "code: v\nversion: {version}\ndefault: {is_default}\ndatasource_id: lite\n{keys}"
        ));
    }
    let gateway = tree.serve();
    let document = document(&gateway);
    let (get, post) =
        (&document["paths"]["/data-api/v"]["get"], &document["paths"]["/data-api/v"]["post"]);
    assert_eq!((&get["operationId"], &get["x-version"]), (&json!("v"), &json!("2.0.0")));
    // Both take the same.
    assert_eq!(parameter(get, "version")["schema"]["enum"], json!(["2.0.0", "2.1.0"]));
    assert_eq!(parameter(get, "version")["required"], false);
    let others: Vec<&String> = get["x-versions"].as_object().unwrap().keys().collect();
    assert_eq!(others, ["2.1.0", "1.0.0"]);
    let first = &get["x-versions"]["1.0.0"];
    assert_eq!(parameter(first, "version")["required"], true);
    assert_eq!(first["parameters"].as_array().unwrap().len(), 2);
    assert_eq!((&post["operationId"], &post["x-version"]), (&json!("v_post"), &json!("3.0.0")));
    assert_eq!(parameter(post, "version")["required"], true);
    assert!(!document.to_string().contains("4.0.0"));
}

#[test]
fn each_caller_reads_its_own() {
    let tree = Tree::new();
    tree.sqlite(SALES);
    tree.interface(
        "code: secret\ndatasource_id: lite\ntags: [hidden]\nquery_template: SELECT 1 AS a\n",
    );
    tree.interface(
        "code: open\ndatasource_id: lite\ntags: [shown]\nvisibility: public\nauth_required: false\nquery_template: SELECT 1 AS a\n",
    );
    let gateway = tree.serve();
    let answer = gateway.get_with("/openapi.json", &[]);
    let document = answer.json();
    assert_eq!(document["tags"], json!([{"name": "shown"}]));
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/data-api/open"]);
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    assert!(answer.header("vary").unwrap().contains("X-API-Key"));
    assert_eq!(gateway.get_with("/openapi.json", &[("x-api-key", "no")]).status, 401);
    let refused = gateway.post("/openapi.json", "{}");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
    let headers = [("x-api-key", KEY), ("accept-encoding", "zstd")];
    let packed = gateway.get_with("/openapi.json", &headers);
    assert_eq!(packed.header("content-encoding"), Some("zstd"));
}
