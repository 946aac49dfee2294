//! Who may do what: the routes behind `require`, served to people of each role; governed datasources are for role `admin` alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use axum::Extension;
use serde_json::{Value, json};
use tidegate::access::attempts::Attempts;
use tidegate::access::mask_key::MaskKey;
use tidegate::admin::Admin;
use tidegate::admin::person::Person;
use tidegate::admin::router::api;
use tidegate::admin::running::Running;
use tidegate::definitions::secret::SecretText;
use tidegate::gateway::calls::Calls;
use tidegate::gateway::leave::Leave;
use tidegate::gateway::{Gateway, GatewaySettings};
use tidegate::live::reload::Live;
use tidegate::observe::history::History;
use tidegate::observe::host::Host;
use tidegate::observe::{Metrics, Observer};
use tidegate::query::cache::AnswerCache;
use tidegate::store::{QueryFilter, Role, Store};

use crate::support::Tree;

/// The API for people who are known already: one address for each role.
struct Served {
    store: Store,
    addresses: Vec<(Role, SocketAddr)>,
    runtime: tokio::runtime::Runtime,
}

fn serve(tree: &Tree) -> Served {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _entered = runtime.enter();
    std::fs::create_dir_all(tree.root().join("data")).unwrap();
    let store = tree.root().join("data/store.db");
    let store = runtime.block_on(Store::open(store.to_str().unwrap())).unwrap();
    let observer = Observer::new(Arc::new(Metrics::new()));
    let mask_key = Arc::new(MaskKey::open(&tree.root().join("data/mask-key")).unwrap());
    let live = Live::start(tree.root(), None, observer.clone(), mask_key).unwrap();
    let settings = GatewaySettings::default();
    let admin = Arc::new(Admin {
        gateway: Arc::new(Gateway {
            live: Arc::new(live),
            cache: AnswerCache::new(1 << 20),
            observer,
            audit: None,
            attempts: Attempts::new(0),
            leave: Leave::default(),
            calls: Calls::new(settings.max_in_flight),
            settings,
        }),
        store: store.clone(),
        running: Running::default(),
        history: Arc::new(History::default()),
        host: Host::new(Vec::new()),
        token: SecretText::new("token"),
        started: Instant::now(),
        is_draining: AtomicBool::new(false),
    });
    let addresses = Role::ALL
        .into_iter()
        .map(|role| {
            let person = Person { username: role.as_str().into(), role };
            let routes = api().layer(Extension(person)).with_state(admin.clone());
            let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
            let address = listener.local_addr().unwrap();
            runtime.spawn(async move { axum::serve(listener, routes).await });
            (role, address)
        })
        .collect();
    drop(_entered);
    Served { store, addresses, runtime }
}

impl Served {
    /// The statuses that viewer, developer, operator and admin get.
    fn statuses(&self, method: &str, path: &str, body: &str) -> Vec<u16> {
        self.addresses.iter().map(|(role, _)| self.ask(*role, method, path, body).0).collect()
    }

    fn ask(&self, role: Role, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (_, address) = self.addresses.iter().find(|(known, _)| *known == role).unwrap();
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let url = format!("http://{address}{path}");
        let answer = match method {
            "GET" => agent.get(url).call(),
            "POST" => agent.post(url).send(body),
            _ => agent.delete(url).call(),
        };
        let mut answer = answer.unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}

#[test]
fn each_route_asks_for_its_role() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE ws_t (n INTEGER); INSERT INTO ws_t VALUES (1);");
    let served = serve(&tree);
    let ask =
        json!({"datasource_id": "lite", "sql": "SELECT n FROM ws_t", "code": "c"}).to_string();
    for path in [
        "/api/datasources",
        "/api/datasources/lite/databases",
        "/api/datasources/lite/tables",
        "/api/datasources/lite/tables/ws_t",
        "/api/logs/queries",
        "/api/monitor/server",
        "/api/monitor/interfaces",
        "/api/monitor/traffic",
    ] {
        assert_eq!(served.statuses("GET", path, ""), [200; 4], "{path}");
    }
    for path in ["", "/explain", "/export", "/draft"] {
        let path = format!("/api/dataservice/query{path}");
        assert_eq!(served.statuses("POST", &path, &ask), [403, 200, 200, 200], "{path}");
    }
    assert_eq!(served.statuses("DELETE", "/api/dataservice/query/x", ""), [403, 404, 404, 404]);
    assert_eq!(
        served.statuses("GET", "/api/datasources/lite/completion", ""),
        [403, 200, 200, 200]
    );
    assert_eq!(served.statuses("POST", "/api/datasources/lite/test", ""), [403, 403, 200, 200]);
    let refused = served.ask(Role::Viewer, "POST", "/api/dataservice/query", &ask).1;
    assert_eq!((&refused["code"], &refused["success"]), (&json!("FORBIDDEN"), &json!(false)));
}

#[test]
fn a_governed_datasource_is_queried_by_hand_by_admins_alone() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE ws_t (n INTEGER); INSERT INTO ws_t VALUES (1);");
    let path = tree.root().join("datasources/lite.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    tree.write("datasources/lite.yaml", &format!("{text}governed: true\n"));
    let served = serve(&tree);
    let ask =
        json!({"datasource_id": "lite", "sql": "SELECT n FROM ws_t", "code": "c"}).to_string();
    for path in ["", "/explain", "/export", "/draft"] {
        let path = format!("/api/dataservice/query{path}");
        assert_eq!(served.statuses("POST", &path, &ask), [403, 403, 403, 200], "{path}");
    }
    let (_, refused) = served.ask(Role::Developer, "POST", "/api/dataservice/query", &ask);
    assert_eq!(refused["code"], "FORBIDDEN");
    assert!(refused["message"].as_str().unwrap().contains("governed"), "{refused}");
    let filter = QueryFilter { username: Some("developer".to_owned()), ..QueryFilter::default() };
    let (runs, total) = served.runtime.block_on(served.store.query_runs(&filter, 0, 10)).unwrap();
    assert_eq!(total, 4, "what was refused is logged too");
    assert!(runs[0].error.as_ref().unwrap().contains("governed"));
}
