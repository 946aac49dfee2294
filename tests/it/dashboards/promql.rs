//! What a PromQL query names: metrics with their matchers, and labels that it groups by. Whether it is a query at all is for
//! Prometheus to say (`promtool.rs`, `server.rs`); this reads what Prometheus takes.

use regex::Regex;

/// A metric that a query reads.
#[derive(Debug, PartialEq, Eq)]
pub struct Selector {
    pub name: String,
    /// Label, operator, value.
    pub matchers: Vec<(String, String, String)>,
    /// Its place in the query.
    at: usize,
}

/// Labels in a `by`, `on` or the like, and the part of the query that they are about: tokens from, to.
#[derive(Debug)]
struct Grouping {
    word: String,
    labels: Vec<String>,
    about: std::ops::Range<usize>,
}

/// What a query names.
#[derive(Debug)]
pub struct Named {
    pub selectors: Vec<Selector>,
    groupings: Vec<Grouping>,
}

const OPERATORS: [&str; 6] = ["and", "or", "unless", "bool", "offset", "atan2"];
const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Reads a query, with Grafana's variables in it or not.
pub fn read(query: &str) -> Named {
    let tokens = tokens(query);
    let (mut selectors, mut groupings) = (Vec::new(), Vec::new());
    let mut i = 0;
    while i < tokens.len() {
        let (token, next) = (tokens[i].as_str(), tokens.get(i + 1).map_or("", String::as_str));
        let is_word = token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':');
        if GROUPINGS.contains(&token) {
            if next == "(" {
                let end = closing(&tokens, i + 1);
                let labels = tokens[i + 2..end].iter().filter(|token| *token != ",").cloned();
                let is_group = matches!(token, "by" | "without") && tokens[end + 1] == "(";
                let about =
                    if is_group { end + 1..closing(&tokens, end + 1) } else { 0..tokens.len() };
                groupings.push(Grouping {
                    word: token.to_owned(),
                    labels: labels.collect(),
                    about,
                });
                i = end;
            }
        } else if is_word && !["(", "by", "without"].contains(&next) && !OPERATORS.contains(&token)
        {
            let mut matchers = Vec::new();
            let at = i;
            if next == "{" {
                let end = closing(&tokens, i + 1);
                for matcher in tokens[i + 2..end].split(|token| token == ",") {
                    let [label, operator, value] = matcher else { panic!("{query}: {matcher:?}") };
                    matchers.push((
                        label.clone(),
                        operator.clone(),
                        value.trim_matches('"').to_owned(),
                    ));
                }
                i = end;
            }
            selectors.push(Selector { name: token.to_owned(), matchers, at });
        }
        i += 1;
    }
    assert!(!selectors.is_empty(), "{query} reads nothing");
    Named { selectors, groupings }
}

impl Named {
    /// The labels that a selector must have, since it is grouped by them.
    pub fn grouped_by<'a>(&'a self, selector: &'a Selector) -> impl Iterator<Item = &'a String> {
        let about = |grouping: &&Grouping| {
            matches!(grouping.word.as_str(), "by" | "on") && grouping.about.contains(&selector.at)
        };
        self.groupings.iter().filter(about).flat_map(|grouping| &grouping.labels)
    }

    /// The labels of the result, where it is grouped; otherwise it has those of its metrics.
    pub fn result(&self) -> Option<&[String]> {
        let first = self.groupings.iter().find(|grouping| grouping.word == "by")?;
        Some(&first.labels)
    }
}

/// The closing bracket of the one at `open`.
fn closing(tokens: &[String], open: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.as_str() {
            "(" | "{" => depth += 1,
            ")" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i;
        }
    }
    panic!("not closed: {tokens:?}")
}

fn tokens(query: &str) -> Vec<String> {
    // Ranges such as `[5m]` and `[$__rate_interval]` say nothing here.
    let token = Regex::new(
        r#""(?:[^"\\]|\\.)*"|\[[^\]]*\]|[a-zA-Z_:][a-zA-Z0-9_:]*|[0-9.]+[a-z]*|=~|!~|!=|>=|<=|==|\S"#,
    );
    let found = token.unwrap();
    let found = found.find_iter(query).map(|token| token.as_str().to_owned());
    found.filter(|token| !token.starts_with('[')).collect()
}

#[test]
fn queries_are_read_as_they_are_meant() {
    let named = read(
        r#"histogram_quantile(0.95, sum by (job, le) (rate(a_bucket{x="1", y=~"b|{"}[5m]))) / on (job) group_left (v) count(c:d) > 2"#,
    );
    let names: Vec<&str> = named.selectors.iter().map(|selector| selector.name.as_str()).collect();
    assert_eq!(names, ["a_bucket", "c:d"]);
    let matcher = |label: &str, operator: &str, value: &str| {
        (label.to_owned(), operator.to_owned(), value.to_owned())
    };
    assert_eq!(named.selectors[0].matchers, [matcher("x", "=", "1"), matcher("y", "=~", "b|{")]);
    let by = |i: usize| named.grouped_by(&named.selectors[i]).cloned().collect::<Vec<_>>();
    assert_eq!(by(0), ["job", "le", "job"]);
    assert_eq!(by(1), ["job"]);
    assert_eq!(named.result().unwrap(), ["job", "le"]);
    assert_eq!(read("a and on (job) b or c unless d").selectors.len(), 4);
    assert!(read("time() - a").result().is_none());
}
