//! Where the time of a request goes: each stage of Tidegate's request path on its own, in this process, without a socket.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use jiff::Timestamp;
use tidegate::access::attempts::Attempts;
use tidegate::access::authenticate::{Circumstances, Credentials};
use tidegate::access::authorize::authorize;
use tidegate::access::mask_key::MaskKey;
use tidegate::definitions::snapshot::Interface;
use tidegate::gateway::exchange::{Exchange, Outcome, Pinned};
use tidegate::gateway::headers::Headers;
use tidegate::gateway::leave::Leave;
use tidegate::gateway::misses::Misses;
use tidegate::gateway::pipeline::handle;
use tidegate::gateway::refusals::Refusals;
use tidegate::gateway::{Gateway, GatewaySettings, admit, input, negotiate, respond, route};
use tidegate::live::reload::Live;
use tidegate::observe::{Code, Metrics, Observer};
use tidegate::query::cache::AnswerCache;
use tidegate::query::params::{self, parse_query};
use tidegate::query::scope;

const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const KEY: &str = "bench-key";
const CACHE_BYTES: u64 = 64 << 20;
/// How long each stage is repeated; the best of several rounds counts, which is what the machine can do undisturbed.
const ROUND: Duration = Duration::from_millis(60);
const ROUNDS: usize = 5;
const BATCH: u32 = 64;

/// Prints target, stage and its nanoseconds, a line each, for `targets`, which are addresses such as `/data-api/cached?top=3`.
pub fn print(root: &str, targets: &[String]) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(super::threads())
        .enable_all()
        .build()
        .expect("a runtime");
    let observer = Observer::new(Arc::new(Metrics::new()));
    let handle = runtime.handle().clone();
    let mask_key = Arc::new(MaskKey::ephemeral());
    let live = Live::start(Path::new(root), Some(handle), observer.clone(), mask_key);
    let gateway = Arc::new(Gateway {
        live: Arc::new(live.expect("the tree has no problems")),
        cache: AnswerCache::new(CACHE_BYTES),
        observer,
        audit: None,
        attempts: Attempts::new(0),
        leave: Leave::default(),
        misses: Misses::default(),
        refusals: Refusals::default(),
        settings: GatewaySettings::default(),
    });
    for target in targets {
        let report = runtime.block_on(runtime.spawn(measure(gateway.clone(), target.clone())));
        println!("{}", report.expect("no stage panics"));
    }
}

fn request(target: &str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = target.parse().expect("an address");
    let headers = request.headers_mut();
    headers.insert("host", HeaderValue::from_static("127.0.0.1:8080"));
    headers.insert("x-api-key", HeaderValue::from_static(KEY));
    request
}

/// Nanoseconds of one run of `work`.
fn time(mut work: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let (started, mut runs) = (Instant::now(), 0_u32);
        while started.elapsed() < ROUND {
            for _ in 0..BATCH {
                work();
            }
            runs += BATCH;
        }
        best = best.min(started.elapsed().as_secs_f64() * 1e9 / f64::from(runs));
    }
    best
}

async fn measure(gateway: Arc<Gateway>, target: String) -> String {
    let (parts, _) = request(&target).into_parts();
    let headers = Headers::of(&parts.headers);
    let pinned = Pinned::new(&gateway);
    let generation = &pinned.generation;
    let policies = &generation.snapshot.policies;
    let pairs = parse_query(parts.uri.query().unwrap_or_default()).expect("a query");
    let found = route::find(&generation.snapshot, parts.uri.path(), &pairs).expect("an interface");
    let interface: &Arc<Interface> = found.interface;
    let (at, instant) = (Timestamp::now(), Instant::now());
    let circumstances = Circumstances { ip: IP, at, instant };
    let authenticate = || {
        let key = Credentials::ApiKey(KEY);
        let attempt =
            generation.authenticator.authenticate(key, policies, &gateway.attempts, circumstances);
        futures::executor::block_on(attempt).expect("the key is known")
    };
    let principal = authenticate();
    let runtime = generation.runtime(interface);
    let taken = input::BodyLimits { max_bytes: 0, until: instant };
    let read = || {
        let body = Full::new(Bytes::new());
        let input = input::read(interface, Vec::new(), pairs.clone(), &parts.headers, body, taken);
        futures::executor::block_on(input).expect("parameters")
    };
    let begin = || Exchange::begin(&pinned, &parts.method, parts.uri.path(), headers, IP);
    let outcome = Outcome { code: Code::Ok, status: 200, rows: 1, bytes: 300, error: None };
    let finished = |mut exchange: Exchange| {
        exchange.index = Some(interface.index);
        exchange.principal = Some(principal.clone());
        exchange.report(&outcome);
        exchange
    };
    let begun = time(|| drop(black_box(finished(begin()))));
    let head = finished(begin());
    let stages = [
        ("begin and report", begun),
        (
            "query string",
            time(|| drop(black_box(parse_query(parts.uri.query().unwrap_or_default())))),
        ),
        (
            "route",
            time(|| drop(black_box(route::find(&generation.snapshot, parts.uri.path(), &pairs)))),
        ),
        (
            "admit",
            time(|| {
                let _ = black_box(admit::check_framing(&parts, headers));
                let _ = black_box(admit::check_address(interface, IP, &gateway.settings));
                let _ = black_box(admit::check_origin(interface, headers));
            }),
        ),
        ("authenticate", time(|| drop(black_box(authenticate())))),
        (
            "authorise",
            time(|| {
                let _ = black_box(authorize(&principal, interface, policies));
                let _ = black_box(generation.rights.of(&principal, interface, policies));
            }),
        ),
        (
            "limit",
            time(|| {
                let _ = black_box(
                    runtime.limiter.as_ref().map(|limiter| limiter.check(&principal, IP)),
                );
            }),
        ),
        (
            "form",
            time(|| {
                black_box(negotiate::format(headers));
                black_box(negotiate::encoding(headers));
            }),
        ),
        (
            "params",
            time(|| {
                let input = read();
                let params = params::take(interface, &input).expect("parameters");
                let _ = black_box(scope::bind(interface, &params, &principal, IP, at));
            }),
        ),
        (
            "head of the answer",
            time(|| {
                drop(black_box(respond::base(&head, http::StatusCode::OK)));
            }),
        ),
    ];
    let whole = whole(&pinned, &target).await;
    let sum: f64 = stages.iter().map(|(_, ns)| ns).sum();
    let rest = [("cache, query and rest", (whole - sum).max(0.0)), ("all", whole)];
    let lines = stages.into_iter().chain(rest);
    lines.map(|(name, ns)| format!("{target}\t{name}\t{ns:.0}")).collect::<Vec<_>>().join("\n")
}

/// Nanoseconds of the whole path, one call after the other.
async fn whole(pinned: &Arc<Pinned>, target: &str) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let (started, mut runs) = (Instant::now(), 0_u32);
        while started.elapsed() < ROUND {
            for _ in 0..BATCH {
                let (parts, body) = request(target).into_parts();
                let reply = handle(pinned, &parts, body, IP, None).await;
                assert!(reply.head.status.is_success(), "{}", reply.head.status);
                black_box(reply.body.collect().await.expect("a whole answer"));
            }
            runs += BATCH;
        }
        best = best.min(started.elapsed().as_secs_f64() * 1e9 / f64::from(runs));
    }
    best
}
