//! Jinja's side of a template: values go in as they are, and whatever comes out becomes a mark with a bound value.

use std::io;
use std::sync::LazyLock;

use minijinja::value::{Object, Serde, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use parking_lot::Mutex;

use super::bind::Bind;
use super::dialect::Dialect;
use super::lex::MARK;
use super::statement::MAX_STATEMENT_BYTES;

/// Steps one rendering may take; an endless loop ends here.
pub const MAX_RENDER_FUEL: u64 = 100_000;
/// Values one rendering may bind.
pub const MAX_RENDERED_VALUES: usize = 10_000;
/// Name of the [`Collector`] in the context; no template can write it.
pub const COLLECTOR: &str = "\u{1}collector";

/// An environment whose values go to the [`Collector`] of the rendering and leave a mark.
pub fn environment(dialect: Dialect) -> Environment<'static> {
    static BASE: LazyLock<Environment<'static>> = LazyLock::new(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(MAX_RENDER_FUEL));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.remove_global("debug");
        environment.add_filter("ident", |value: Value| -> Result<Value, Error> {
            match value.as_str() {
                Some(text) if !text.is_empty() && !text.contains('\0') => {
                    Ok(Value::from_object(Identifier(text.to_owned())))
                }
                _ => {
                    let text = "`ident` needs a text, and got none";
                    Err(Error::new(ErrorKind::InvalidOperation, text))
                }
            }
        });
        environment
    });
    let mut environment = BASE.clone();
    environment.set_formatter(move |out, state, value| {
        if let Some(Identifier(name)) = value.downcast_object_ref() {
            return out.write_str(&dialect.quote(name)).map_err(Error::from);
        }
        let collector = state.lookup(COLLECTOR);
        let Some(collector) = collector.as_ref().and_then(Value::downcast_object_ref::<Collector>)
        else {
            return Err(Error::new(ErrorKind::InvalidOperation, "no place for values"));
        };
        let (number, is_array) = collector.push(value)?;
        let suffix = if is_array { "a" } else { "" };
        out.write_fmt(format_args!("{MARK}{number}{suffix}{MARK}")).map_err(Error::from)
    });
    environment
}

/// What `ident` makes: text that goes out quoted.
#[derive(Debug)]
struct Identifier(String);

impl Object for Identifier {}

/// Takes the values of one rendering.
#[derive(Debug, Default)]
pub struct Collector {
    pub binds: Mutex<Vec<Bind>>,
}

impl Object for Collector {}

impl Collector {
    fn push(&self, value: &Value) -> Result<(usize, bool), Error> {
        let refuse = |text: &'static str| Error::new(ErrorKind::InvalidOperation, text);
        if value.as_str().is_some_and(|text| text.contains(MARK)) {
            return Err(refuse("the text of a block cannot be a value"));
        }
        let bind = from_value(value).ok_or_else(|| refuse("this kind of value cannot be bound"))?;
        let is_array = matches!(bind, Bind::Array(_));
        let mut binds = self.binds.lock();
        if binds.len() >= MAX_RENDERED_VALUES {
            return Err(refuse("the template binds too many values"));
        }
        binds.push(bind);
        Ok((binds.len() - 1, is_array))
    }
}

/// A bound value as Jinja sees it.
pub fn to_value(bind: &Bind) -> Value {
    match bind {
        Bind::Null => Value::from(()),
        Bind::Bool(b) => Value::from(*b),
        Bind::Int(n) => Value::from(*n),
        Bind::Number(digits) => match digits.parse::<f64>() {
            // Only where no digit is lost; else the digits stay, as text.
            Ok(number) if number.to_string() == *digits => Value::from(number),
            _ => Value::from(digits.as_str()),
        },
        Bind::Text(text) => Value::from(text.as_str()),
        Bind::Date(_) | Bind::DateTime(..) => Value::from(bind.to_text()),
        Bind::Json(text) => serde_json::from_str::<serde_json::Value>(text)
            .map_or_else(|_| Value::from(text.as_str()), |json| Value::from(Serde(json))),
        Bind::Array(items) => items.iter().map(to_value).collect(),
    }
}

fn from_value(value: &Value) -> Option<Bind> {
    match value.kind() {
        ValueKind::None => Some(Bind::Null),
        ValueKind::Bool => Some(Bind::Bool(value.is_true())),
        ValueKind::Number => Some(match value.as_i64() {
            Some(n) if value.is_integer() => Bind::Int(n),
            _ => Bind::Number(value.to_string()),
        }),
        ValueKind::String => Some(Bind::Text(value.as_str()?.to_owned())),
        ValueKind::Seq | ValueKind::Iterable => value
            .try_iter()
            .ok()?
            .map(|item| from_value(&item))
            .collect::<Option<_>>()
            .map(Bind::Array),
        ValueKind::Map => serde_json::to_string(value).ok().map(Bind::Json),
        _ => None,
    }
}

/// Takes rendered text up to the limit of a statement.
pub struct Capped(pub Vec<u8>);

impl io::Write for &mut Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_STATEMENT_BYTES {
            return Err(io::Error::other("the rendered statement is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
