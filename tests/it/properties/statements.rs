//! No input changes the text of a statement: it depends only on what is there and on how long lists are.

use proptest::collection::vec;
use proptest::prelude::*;
use tidegate::sql::bind::Bind;
use tidegate::sql::dialect::Dialect;
use tidegate::sql::page::Paging;
use tidegate::sql::statement::Values;
use tidegate::sql::template::{Flaw, Name, Options, Template};

use super::cases;

const COLUMNS: [&str; 3] = ["plain", "with space", "q\"u`ote"];

/// The values of one call, in the order of the templates' names.
#[derive(Clone, Debug)]
struct Input {
    text: Option<String>,
    number: Bind,
    list: Vec<String>,
    object: String,
    column: &'static str,
}

impl Input {
    fn binds(&self) -> Vec<Bind> {
        vec![
            self.text.clone().map_or(Bind::Null, Bind::Text),
            self.number.clone(),
            Bind::Array(self.list.iter().cloned().map(Bind::Text).collect()),
            Bind::Json(serde_json::json!({ "k": self.object }).to_string()),
            Bind::Text(self.column.to_owned()),
        ]
    }

    /// The dullest input of the same shape.
    fn plain(&self) -> Self {
        let dull = || "x".to_owned();
        Self {
            text: self
                .text
                .as_ref()
                .map(|text| if text.is_empty() { String::new() } else { dull() }),
            number: Bind::Int(1),
            list: vec![dull(); self.list.len()],
            object: dull(),
            column: self.column,
        }
    }
}

fn template(source: &str, dialect: Dialect) -> Template {
    let name = |name: &str, is_array, is_closed, samples: Vec<Bind>| Name {
        name: name.to_owned(),
        is_array,
        is_closed,
        samples,
    };
    let text = |text: &str| Bind::Text(text.to_owned());
    let names = vec![
        name("text", false, false, vec![text("x"), Bind::Null]),
        name("number", false, false, vec![Bind::Int(1)]),
        name("list", true, false, vec![Bind::Array(vec![text("x")])]),
        name("object", false, false, vec![Bind::Json("{\"k\": \"x\"}".to_owned())]),
        name("column", false, true, COLUMNS.map(text).to_vec()),
    ];
    let options = Options {
        dialect,
        names: names.into(),
        is_safe: true,
        is_procedure: false,
        paging: Paging::None,
        is_governed: false,
    };
    Template::compile(source, options).unwrap_or_else(|errors| panic!("{source}: {errors:?}"))
}

/// The statement and the values bound to it.
fn bound(template: &Template, input: &Input) -> (String, Vec<Bind>) {
    let names = input.binds();
    let rendered = template.render(&names).unwrap_or_else(|error| panic!("{input:?}: {error:?}"));
    let values = Values { names: &names, rendered: &rendered.values, grants: &[] };
    let (text, binds) = rendered.statement.query.bind(&values);
    (text.to_string(), binds)
}

/// The values as texts, those of arrays one by one: an engine may bind a list as one array.
fn texts(binds: &[Bind]) -> Vec<String> {
    let one = |bind: &Bind| match bind {
        Bind::Array(items) => texts(items),
        scalar => vec![scalar.to_text()],
    };
    binds.iter().flat_map(one).collect()
}

/// Anything, and what people attack with. U+0001 is refused where there is Jinja, see below.
fn anything() -> impl Strategy<Value = String> {
    any_text().prop_map(|text| text.replace('\u{1}', "\u{2}"))
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[-'\"`;:?$%_{}()\\\\#*/|!@&=<>\u{2}\n\r\t 01aZ]{0,24}",
        Just("' OR 1=1 --".to_owned()),
        Just("{{ 7*7 }}{% raw %}".to_owned()),
        Just("1); DROP TABLE t; /*".to_owned()),
        Just(":text :list ?1 $1".to_owned()),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let number = prop_oneof![
        any::<i64>().prop_map(Bind::Int),
        // Whole numbers that fit are `Int`.
        "-?[1-9][0-9]{0,30}\\.[0-9]{0,19}[1-9]".prop_map(Bind::Number),
    ];
    let column = prop::sample::select(COLUMNS.to_vec());
    (proptest::option::of(anything()), number, vec(anything(), 0..5), anything(), column).prop_map(
        |(text, number, list, object, column)| Input { text, number, list, object, column },
    )
}

const DIALECTS: [Dialect; 3] = [Dialect::Sqlite, Dialect::Postgres, Dialect::MySql];

const PLAIN: &str = "SELECT id FROM t WHERE a = :text AND n > :number AND b IN (:list) AND 'it''s :text' <> '' LIMIT 5";
const JINJA: &str = "SELECT id, {{ number }} AS n FROM t WHERE 1 = 1\
    {% if text %} AND a = {{ text }}{% endif %}\
    {% for item in list %} AND b <> {{ item }}{% endfor %} AND c = {{ object.k }} LIMIT 5";
const IDENT: &str =
    "SELECT {{ column | ident }} FROM t WHERE a = {{ text }} ORDER BY {{ column | ident }} LIMIT 5";

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn plain_templates(input in input()) {
        for dialect in DIALECTS {
            let template = template(PLAIN, dialect);
            let (text, binds) = bound(&template, &input);
            prop_assert_eq!(&text, &bound(&template, &input.plain()).0);
            let mut expected = vec![input.text.clone().unwrap_or_default(), input.number.to_text()];
            expected.extend(input.list.iter().cloned());
            prop_assert_eq!(texts(&binds), expected);
        }
    }

    #[test]
    fn jinja_templates(input in input()) {
        for dialect in DIALECTS {
            let template = template(JINJA, dialect);
            let (text, binds) = bound(&template, &input);
            prop_assert_eq!(&text, &bound(&template, &input.plain()).0);
            let mut expected = vec![input.number.to_text()];
            expected.extend(input.text.clone().filter(|text| !text.is_empty()));
            expected.extend(input.list.iter().cloned());
            expected.push(input.object.clone());
            prop_assert_eq!(texts(&binds), expected);
        }
    }

    #[test]
    fn identifiers(input in input()) {
        for dialect in DIALECTS {
            let template = template(IDENT, dialect);
            let (text, binds) = bound(&template, &input);
            prop_assert_eq!(&text, &bound(&template, &input.plain()).0);
            prop_assert!(text.contains(&dialect.quote(input.column)), "{}", text);
            prop_assert_eq!(binds, vec![input.text.clone().map_or(Bind::Null, Bind::Text)]);
        }
    }
}

#[test]
fn the_texts_are_few() {
    // Every branch, every length and every column: no more texts than these.
    let template = template(JINJA, Dialect::Postgres);
    let mut seen = std::collections::BTreeSet::new();
    for text in [None, Some(String::new()), Some("a".to_owned()), Some("b' --".to_owned())] {
        for length in 0..3 {
            let list = vec!["x'".to_owned(); length];
            let input = Input {
                text: text.clone(),
                number: Bind::Int(7),
                list,
                object: "o".into(),
                column: "plain",
            };
            seen.insert(bound(&template, &input).0);
        }
    }
    assert_eq!(seen.len(), 2 * 3, "{seen:#?}");
    assert!(seen.iter().all(|text| !text.contains('\'')), "{seen:#?}");
}

#[test]
fn the_mark_of_places_is_refused_and_not_taken_for_one() {
    for mark in ["\u{1}", "a\u{1}0\u{1}", "\u{1}0a\u{1}"] {
        let template = template(JINJA, Dialect::Sqlite);
        let plain = Input {
            text: Some("a".into()),
            number: Bind::Int(1),
            list: vec!["b".into()],
            object: "c".into(),
            column: "plain",
        };
        for wrong in [
            Input { text: Some(mark.into()), ..plain.clone() },
            Input { list: vec!["b".into(), mark.into()], ..plain.clone() },
            Input { object: mark.into(), ..plain.clone() },
        ] {
            let error = template.render(&wrong.binds()).unwrap_err();
            assert!(matches!(error.flaw, Flaw::Unsafe(_)), "{error:?}");
        }
        assert!(template.render(&plain.binds()).is_ok());
    }
}
