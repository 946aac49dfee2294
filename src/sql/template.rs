//! Query templates: SQL with `:name` and Jinja, in which every value is bound and none becomes text.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind};
use parking_lot::Mutex;

use super::bind::Bind;
use super::dialect::Dialect;
use super::ident;
use super::jinja::{self, COLLECTOR, Capped, Collector, MAX_RENDER_FUEL, to_value};
use super::lex::{self, LexError, MARK, Piece};
use super::page::Paging;
use super::statement::{MAX_STATEMENT_BYTES, Statement};

/// Different statement texts kept for one template; beyond it the memory starts anew.
const MAX_VARIANTS: usize = 256;
/// Renderings tried at load.
const MAX_TRIALS: usize = 64;

/// A name that a template may use.
#[derive(Clone, Debug)]
pub struct Name {
    pub name: String,
    pub is_array: bool,
    /// Holds one of a closed set of values, so that `ident` may make an identifier of it.
    pub is_closed: bool,
    /// Values to try the template with at load; the first is the usual one.
    pub samples: Vec<Bind>,
}

/// What a template is compiled for.
#[derive(Clone, Debug)]
pub struct Options {
    pub dialect: Dialect,
    pub names: Arc<[Name]>,
    /// Refuse what is not one read-only statement.
    pub is_safe: bool,
    /// Allow a procedure call.
    pub is_procedure: bool,
    pub paging: Paging,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Jinja that does not parse.
    Template(String),
    /// Jinja that does not render.
    Render(String),
    /// A name that nothing binds.
    Unbound(String),
    /// A value that would become text.
    UnsafeValue(String),
    /// SQL that does not parse.
    Sql(String),
    /// SQL that safe mode refuses.
    Unsafe(String),
    /// A whole table, unconditionally.
    UnboundedScan(String),
}

/// A flaw and where in the template it is: a byte offset, where known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    pub flaw: Flaw,
    pub offset: Option<usize>,
}

impl TemplateError {
    /// A flaw at a place.
    pub fn new(flaw: Flaw, offset: Option<usize>) -> Self {
        Self { flaw, offset }
    }
}

impl From<LexError> for TemplateError {
    fn from(error: LexError) -> Self {
        let offset = Some(error.offset());
        let text = error.to_string();
        let flaw = match error {
            LexError::ValueInside { .. } => Flaw::UnsafeValue(text),
            LexError::SecondStatement { .. } | LexError::ExecutableComment { .. } => {
                Flaw::Unsafe(text)
            }
            LexError::Unclosed { .. }
            | LexError::RawPlaceholder { .. }
            | LexError::Ambiguous { .. } => Flaw::Sql(text),
        };
        Self { flaw, offset }
    }
}

/// A compiled template.
#[derive(Debug)]
pub struct Template {
    source: Source,
    options: Options,
}

#[derive(Debug)]
enum Source {
    /// No Jinja: one statement for ever.
    Fixed(Arc<Statement>),
    Jinja {
        environment: Box<Environment<'static>>,
        variants: Mutex<HashMap<String, Arc<Statement>>>,
    },
}

/// A statement and the values that its `{{ }}` gave.
#[derive(Clone, Debug)]
pub struct Rendered {
    pub statement: Arc<Statement>,
    pub values: Vec<Bind>,
}

const TEMPLATE: &str = "template";

impl Template {
    /// Compiles `source`.
    ///
    /// # Errors
    /// All flaws that can be known before a request.
    pub fn compile(source: &str, options: Options) -> Result<Self, Vec<TemplateError>> {
        if source.len() > MAX_STATEMENT_BYTES {
            let text = format!("the template is longer than {MAX_STATEMENT_BYTES} bytes");
            return Err(vec![TemplateError::new(Flaw::Template(text), None)]);
        }
        if let Some(offset) = source.find(MARK) {
            let text = "the template holds a control character".to_owned();
            return Err(vec![TemplateError::new(Flaw::Template(text), Some(offset))]);
        }
        let has_tags = ["{{", "{%", "{#"].iter().any(|tag| source.contains(tag));
        let unbound = unbound(source, &options);
        if !has_tags {
            if !unbound.is_empty() {
                return Err(unbound);
            }
            let statement = super::page::build(source, &options).map_err(|error| vec![error])?;
            return Ok(Self { source: Source::Fixed(Arc::new(statement)), options });
        }
        let environment = match parse(source, &options) {
            Ok(environment) if unbound.is_empty() => Box::new(environment),
            Ok(_) => return Err(unbound),
            Err(errors) => return Err(errors.into_iter().chain(unbound).collect()),
        };
        let variants = Mutex::default();
        let template = Self { source: Source::Jinja { environment, variants }, options };
        template.try_out()?;
        Ok(template)
    }

    /// The statement for these values, by index of the template's names.
    ///
    /// # Errors
    /// Where the template fails for these values, or makes a statement that safe mode refuses.
    pub fn render(&self, names: &[Bind]) -> Result<Rendered, TemplateError> {
        let (environment, variants) = match &self.source {
            Source::Fixed(statement) => {
                return Ok(Rendered { statement: statement.clone(), values: Vec::new() });
            }
            Source::Jinja { environment, variants } => (environment, variants),
        };
        if names.iter().any(|value| value.holds(MARK)) {
            // Inside a template it marks places; a caller who sends it is wrong, not the template.
            let flaw = Flaw::Unsafe("a value holds the control character U+0001".to_owned());
            return Err(TemplateError::new(flaw, None));
        }
        let (text, values) = self.render_text(environment, names)?;
        if let Some(statement) = variants.lock().get(&text) {
            return Ok(Rendered { statement: statement.clone(), values });
        }
        let statement = Arc::new(
            super::page::build(&text, &self.options)
                .map_err(|error| in_source(environment, &text, error))?,
        );
        let mut variants = variants.lock();
        if variants.len() >= MAX_VARIANTS {
            variants.clear();
        }
        variants.insert(text, statement.clone());
        Ok(Rendered { statement, values })
    }

    /// The one statement of a template without Jinja.
    pub fn fixed(&self) -> Option<&Arc<Statement>> {
        match &self.source {
            Source::Fixed(statement) => Some(statement),
            Source::Jinja { .. } => None,
        }
    }

    /// Values to try the template with, by index of its names.
    pub fn usual_values(&self) -> Vec<Bind> {
        let usual = |name: &Name| name.samples.first().cloned().unwrap_or(Bind::Null);
        self.options.names.iter().map(usual).collect()
    }

    fn render_text(
        &self,
        environment: &Environment<'static>,
        names: &[Bind],
    ) -> Result<(String, Vec<Bind>), TemplateError> {
        let collector = Arc::new(Collector::default());
        let mut context: BTreeMap<&str, Value> = BTreeMap::new();
        for (name, bind) in self.options.names.iter().zip(names) {
            context.insert(&name.name, to_value(bind));
        }
        context.insert(COLLECTOR, Value::from_dyn_object(collector.clone()));
        let failed = |error: &Error| render_error(error, environment);
        let template = environment.get_template(TEMPLATE).map_err(|error| failed(&error))?;
        let mut text = Capped(Vec::new());
        template
            .render_captured_to(Value::from_pairs(context), &mut text)
            .map_err(|error| failed(&error))?;
        let values = std::mem::take(&mut *collector.binds.lock());
        let text = String::from_utf8(text.0)
            .map_err(|error| TemplateError::new(Flaw::Render(error.to_string()), None))?;
        Ok((text, values))
    }

    /// Renders with sample values, so that flaws show at load and not in a request.
    fn try_out(&self) -> Result<(), Vec<TemplateError>> {
        let mut errors: Vec<TemplateError> = Vec::new();
        for trial in trials(&self.options.names) {
            if let Err(error) = self.render(&trial)
                && !errors.contains(&error)
            {
                errors.push(error);
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// Sample values for the names: the usual ones; each other sample alone; the last samples together (a name that may be
/// absent has NULL last).
fn trials(names: &[Name]) -> Vec<Vec<Bind>> {
    let pick = |name: &Name, i: usize| name.samples.get(i).cloned().unwrap_or(Bind::Null);
    let usual: Vec<Bind> = names.iter().map(|name| pick(name, 0)).collect();
    let last: Vec<Bind> =
        names.iter().map(|name| name.samples.last().cloned().unwrap_or(Bind::Null)).collect();
    let mut trials = vec![usual.clone(), last];
    for (at, name) in names.iter().enumerate() {
        for i in 1..name.samples.len() {
            let mut trial = usual.clone();
            trial[at] = pick(name, i);
            trials.push(trial);
        }
    }
    trials.truncate(MAX_TRIALS);
    trials
}

/// The `:name`s that nothing binds, in whatever branch they stand, each once.
fn unbound(source: &str, options: &Options) -> Vec<TemplateError> {
    let flat = flatten(source);
    // What cannot be cut is reported by those who need it cut.
    let pieces = lex::cut(&flat, options.dialect).unwrap_or_default();
    let mut found: Vec<TemplateError> = Vec::new();
    for piece in pieces {
        let Piece::Name(name, offset) = piece else { continue };
        let flaw = Flaw::Unbound(name.to_owned());
        let is_known = options.names.iter().any(|known| known.name == name);
        if !is_known && found.iter().all(|error| error.flaw != flaw) {
            found.push(TemplateError::new(flaw, Some(offset)));
        }
    }
    found
}

fn parse(source: &str, options: &Options) -> Result<Environment<'static>, Vec<TemplateError>> {
    let mut environment = jinja::environment(options.dialect);
    if let Err(error) = environment.add_template_owned(TEMPLATE, source.to_owned()) {
        let text = error.detail().unwrap_or("syntax error").to_owned();
        let offset = error.line().map(|line| line_start(source, line));
        return Err(vec![TemplateError::new(Flaw::Template(text), offset)]);
    }
    let mut errors = Vec::new();
    let is_closed =
        |name: &str| options.names.iter().any(|known| known.name == name && known.is_closed);
    for (offset, text) in ident::unsafe_uses(source, is_closed) {
        let flaw =
            Flaw::UnsafeValue(format!("`{text}` makes an identifier of what is not a closed set"));
        errors.push(TemplateError::new(flaw, Some(offset)));
    }
    if let Ok(template) = environment.get_template(TEMPLATE) {
        let mut unknown: Vec<String> = template
            .undeclared_variables(false)
            .into_iter()
            .filter(|used| !options.names.iter().any(|name| name.name == *used))
            .filter(|used| environment.globals().all(|(global, _)| global != used))
            .collect();
        unknown.sort();
        for name in unknown {
            let offset = ident::word_in_tags(source, &name);
            errors.push(TemplateError::new(Flaw::Unbound(name), offset));
        }
    }
    if let Err(error @ LexError::ValueInside { .. }) = lex::cut(&flatten(source), options.dialect) {
        errors.push(error.into());
    }
    if errors.is_empty() { Ok(environment) } else { Err(errors) }
}

/// The template with each `{{ }}` as a mark and the other tags blank, byte for byte, so that values inside quotes are
/// found whatever branch they stand in.
fn flatten(source: &str) -> String {
    let mut flat = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = rest.find('{') {
        flat.push_str(&rest[..open]);
        rest = &rest[open..];
        let (close, is_value) = match rest.as_bytes().get(1) {
            Some(b'{') => ("}}", true),
            Some(b'%') => ("%}", false),
            Some(b'#') => ("#}", false),
            _ => {
                flat.push('{');
                rest = &rest[1..];
                continue;
            }
        };
        let length = rest.find(close).map_or(rest.len(), |i| i + close.len());
        if is_value {
            flat.push(MARK);
            flat.extend(std::iter::repeat_n('0', length.saturating_sub(2)));
            flat.push(MARK);
        } else {
            flat.extend(rest[..length].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
        }
        rest = &rest[length..];
    }
    flat.push_str(rest);
    flat
}

/// Byte offset of a line, counted from 1.
fn line_start(source: &str, line: usize) -> usize {
    source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum()
}

fn render_error(error: &Error, environment: &Environment<'static>) -> TemplateError {
    let text = match error.kind() {
        ErrorKind::OutOfFuel => format!("it takes more than {MAX_RENDER_FUEL} steps"),
        kind => error.detail().map_or_else(|| kind.to_string(), str::to_owned),
    };
    let flaw = match error.kind() {
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction => {
            Flaw::Template(text)
        }
        _ => Flaw::Render(text),
    };
    let template = environment.get_template(TEMPLATE).ok();
    let offset = template.and_then(|template| Some(line_start(template.source(), error.line()?)));
    TemplateError::new(flaw, offset)
}

/// A flaw of rendered text at the same word of the template, so far as it is there.
fn in_source(
    environment: &Environment<'static>,
    text: &str,
    error: TemplateError,
) -> TemplateError {
    let template = environment.get_template(TEMPLATE).ok();
    let offset = template.zip(error.offset).and_then(|(template, at)| {
        let rest = &text[at..];
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = &rest[..length.max(rest.chars().next()?.len_utf8())];
        let before = text[..at].matches(word).count();
        let mut found = template.source().match_indices(word).map(|(at, _)| at);
        found.clone().nth(before).or_else(|| found.next())
    });
    TemplateError::new(error.flaw, offset)
}
