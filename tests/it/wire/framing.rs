//! Request smuggling, case by case: `tests/wire/refused.txt` and `taken.txt` have one a line.

use crate::support::raw::Raw;
use crate::support::{Tidegate, Tree, memory_kb};

/// Never to be run: it stands behind requests that are refused.
const HIDDEN: &str = "GET /data-api/hidden HTTP/1.1\r\nHost: t\r\n\r\n";

fn serve() -> (Tree, Tidegate) {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER);");
    let open = "datasource_id: lite\nvisibility: public\nauth_required: false\n";
    for code in ["get", "hidden"] {
        tree.interface(&format!("code: {code}\n{open}query_template: SELECT 1 AS n\n"));
    }
    tree.interface(&format!(
        "code: post\n{open}method: POST\nparameters: [{{name: x, type: integer}}]\nquery_template: 'SELECT :x AS x'\n"
    ));
    let gateway = tree.serve();
    (tree, gateway)
}

/// The statuses and the bytes of each line of a file, with the number of the line.
fn cases(file: &str) -> Vec<(usize, Vec<u16>, Vec<u8>)> {
    let path = format!("{}/tests/wire/{file}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with("# "));
    let case = |(i, line): (usize, &str)| {
        let (statuses, request) = line.split_once(' ').unwrap();
        let statuses = statuses.split(',').map(|status| status.parse().unwrap()).collect();
        (i + 1, statuses, bytes(request))
    };
    lines.map(case).collect()
}

/// The bytes that a line stands for.
fn bytes(line: &str) -> Vec<u8> {
    let line = line.replace("<POST>", r"POST /data-api/post HTTP/1.1\r\nHost: t\r\n");
    let (mut out, mut chars) = (Vec::new(), line.chars());
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        out.push(match chars.next().unwrap() {
            'r' => b'\r',
            'n' => b'\n',
            't' => b'\t',
            '0' => 0,
            'x' => {
                let code: String = chars.by_ref().take(2).collect();
                u8::from_str_radix(&code, 16).unwrap()
            }
            '\\' => b'\\',
            other => panic!("\\{other}"),
        });
    }
    out
}

/// Sends in one piece, or in two with a cut in the middle.
fn send(raw: &mut Raw, bytes: &[u8], in_two: bool) {
    let (first, second) = bytes.split_at(if in_two { bytes.len() / 2 } else { 0 });
    raw.send(first);
    if in_two {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    raw.send(second);
}

#[test]
fn what_is_not_clear_is_refused_and_ends_the_connection() {
    let (_tree, gateway) = serve();
    let cases = cases("refused");
    assert!(cases.len() > 100);
    let mut wrong = Vec::new();
    for (line, statuses, request) in &cases {
        for in_two in [false, true] {
            let mut raw = Raw::connect(&gateway);
            send(&mut raw, request, in_two);
            raw.send(HIDDEN.repeat(2));
            let answers: Vec<u16> =
                std::iter::from_fn(|| raw.answer()).map(|answer| answer.status).collect();
            if answers != *statuses {
                wrong.push(format!("line {line}, in two: {in_two}: {answers:?}"));
            }
        }
    }
    let hidden = gateway.admin_get("/metrics").text();
    if hidden.contains("interface=\"hidden\"") {
        wrong.push("what was behind a refused request was run".to_owned());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_refused_comes_after_the_answers_before_it() {
    let (_tree, gateway) = serve();
    let good = "GET /data-api/get HTTP/1.1\r\nHost: t\r\n\r\n".repeat(3);
    let bad = bytes(r"<POST>Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    let mut raw = Raw::connect(&gateway);
    raw.send([good.as_bytes(), &bad, HIDDEN.as_bytes()].concat());
    let answers: Vec<u16> =
        std::iter::from_fn(|| raw.answer()).map(|answer| answer.status).collect();
    assert_eq!(answers, [200, 200, 200, 400]);
    assert!(!gateway.admin_get("/metrics").text().contains("interface=\"hidden\""));
}

#[test]
fn what_is_clear_is_answered_in_order_and_keeps_the_connection() {
    let (_tree, gateway) = serve();
    for (line, statuses, request) in cases("taken") {
        for in_two in [false, true] {
            let mut raw = Raw::connect(&gateway);
            send(&mut raw, &request, in_two);
            for status in &statuses {
                let answer = raw.answer().map(|answer| answer.status);
                assert_eq!(answer, Some(*status), "line {line}, in two: {in_two}");
            }
            raw.request("GET /data-api/get", "");
            assert_eq!(raw.answer().map(|answer| answer.status), Some(200), "line {line}");
        }
    }
}

#[test]
fn pipelined_requests_wait_outside() {
    let (_tree, gateway) = serve();
    let request = HIDDEN.replace("hidden", "get").repeat(1_000);
    // Nobody reads the answers, so soon nobody reads the requests: at most some buffers of each connection are filled.
    let fill = |connections: usize| {
        let connect = || {
            let mut raw = Raw::connect(&gateway);
            raw.give_up_after(std::time::Duration::from_millis(500));
            while raw.send(&request) {}
            raw
        };
        let open: Vec<Raw> = std::iter::repeat_with(connect).take(connections).collect();
        (memory_kb(&gateway, "VmRSS"), open)
    };
    let (before, first) = fill(4);
    let (after, _second) = fill(8);
    drop(first);
    let each = after.saturating_sub(before) / 8;
    assert!(each < 1_000, "{each} KB for a connection");
}
