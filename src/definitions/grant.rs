//! Compiles what roles grant of the data: patterns of tables, and the rules of what is seen of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use globset::{Glob, GlobBuilder, GlobMatcher};
use serde_json::{Map, Value, json};

use super::document::Document;
use super::mask::{self, NoMask, Written};
use super::problem::{Place, Problem, ProblemCode};
use super::snapshot::Datasource;
use super::sources::Source;
use super::spec::role::{Columns, DataGrant, Role};
use crate::sql::dialect::Dialect;
use crate::sql::fragment::{Fragment, Reference};
use crate::sql::mask::Mask;
use crate::sql::relation::{Relation, Shape};
use crate::sql::view::Rule;

/// What a role grants of one datasource: tables by a rule, or functions.
#[derive(Debug)]
pub struct Grant {
    /// Different from that of any other grant of the tree.
    pub id: usize,
    pub role: String,
    /// `None`: functions only.
    pub tables: Option<TablePattern>,
    pub rule: Rule,
    pub functions: Vec<GlobMatcher>,
    /// Equal where two grants show the same.
    pub content: String,
    pub place: Place,
}

impl Grant {
    /// What it reads of the caller.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        let masks = self.rule.masks.iter().filter_map(|(_, mask)| match mask {
            Mask::Sql(fragment) => Some(&**fragment),
            _ => None,
        });
        self.rule.rows.iter().chain(masks).flat_map(|fragment| &fragment.references)
    }
}

/// Tables by a glob on name and schema.
#[derive(Clone, Debug)]
pub struct TablePattern {
    pub text: String,
    schema: Option<(String, GlobMatcher)>,
    table: GlobMatcher,
    is_exact: bool,
}

impl TablePattern {
    fn new(text: &str, dialect: Dialect) -> Result<Self, globset::Error> {
        let glob = |text: &str| {
            let is_sqlite = dialect == Dialect::Sqlite;
            Ok(GlobBuilder::new(text).case_insensitive(is_sqlite).build()?.compile_matcher())
        };
        let (schema, table) = match text.split_once('.') {
            Some((schema, table)) => (Some((schema.to_owned(), glob(schema)?)), table),
            None => (None, text),
        };
        let is_exact = !table.contains(['*', '?', '[', '{']);
        Ok(Self { text: text.to_owned(), schema, table: glob(table)?, is_exact })
    }

    /// Whether it covers a table. What belongs to the engine itself is covered only where its schema is named by the letter.
    pub fn covers(&self, shape: &Shape) -> bool {
        let in_schema = match &self.schema {
            Some((text, _)) if shape.is_system => *text == shape.schema,
            Some((_, glob)) => glob.is_match(&shape.schema),
            None => shape.is_default_schema && !shape.is_system,
        };
        in_schema && self.table.is_match(&shape.name)
    }

    /// The table that it names by the letter; `None` for a pattern.
    pub fn named(&self) -> Option<Relation> {
        let is_exact = |text: &str| !text.contains(['*', '?', '[', '{']);
        let schema = self.schema.as_ref().map(|(text, _)| text.clone());
        if !self.is_exact || !schema.as_deref().is_none_or(is_exact) {
            return None;
        }
        let name = self.text.rsplit('.').next().unwrap_or_default().to_owned();
        Some(Relation { schema, name })
    }

    /// Whether it may cover the table that a statement names, so far as that is known without asking the database.
    pub fn may_cover(&self, relation: &Relation) -> bool {
        let in_schema = match (&self.schema, &relation.schema) {
            (Some((_, glob)), Some(schema)) => glob.is_match(schema),
            _ => true,
        };
        in_schema && self.table.is_match(&relation.name)
    }
}

/// Compiles the grants of all roles.
pub struct Grants<'a> {
    datasources: &'a BTreeMap<String, Arc<Datasource>>,
    count: usize,
}

impl<'a> Grants<'a> {
    /// For these datasources.
    pub fn new(datasources: &'a BTreeMap<String, Arc<Datasource>>) -> Self {
        Self { datasources, count: 0 }
    }

    /// What a role grants, by governed datasource.
    pub fn of(
        &mut self,
        source: &Source<Role>,
        problems: &mut Vec<Problem>,
    ) -> HashMap<String, Vec<Arc<Grant>>> {
        let mut data: HashMap<String, Vec<Arc<Grant>>> = HashMap::new();
        for (i, spec) in source.spec.data.iter().enumerate() {
            let mut report =
                Report { document: &source.document, at: format!("/data/{i}"), problems };
            let Some(glob) = report.glob("/datasource", &spec.datasource) else { continue };
            report.check(spec);
            let mut dialects = Vec::new();
            for (id, datasource) in self.datasources {
                if !glob.is_match(id) {
                    continue;
                }
                dialects.push(datasource.dialect);
                if let Some(grant) = report.grant(spec, &source.spec.name, self.count, datasource)
                    && datasource.spec.governed
                {
                    self.count += 1;
                    data.entry(id.clone()).or_default().push(Arc::new(grant));
                }
            }
            if dialects.is_empty() && !self.datasources.is_empty() {
                report.unused(
                    "/datasource",
                    format!("No datasource matches `{}`.", spec.datasource),
                    "Name one by its `id`, or with a pattern such as `crm_*`.",
                );
            }
        }
        data
    }
}

/// Collects the problems of one grant.
struct Report<'a> {
    document: &'a Document,
    at: String,
    problems: &'a mut Vec<Problem>,
}

impl Report<'_> {
    fn error(&mut self, at: &str, code: ProblemCode, message: String, hint: impl Into<String>) {
        let place = self.document.place(&format!("{}{at}", self.at));
        let problem = Problem::error(place, code, message, hint);
        // A grant is compiled for each datasource, and is wrong for all in the same way.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn unused(&mut self, at: &str, message: String, hint: &str) {
        let place = self.document.place(&format!("{}{at}", self.at));
        let problem = Problem::error(place, ProblemCode::PolicyUnused, message, hint);
        self.problems.push(problem.as_warning());
    }

    fn glob(&mut self, at: &str, text: &str) -> Option<GlobMatcher> {
        match Glob::new(text) {
            Ok(glob) => Some(glob.compile_matcher()),
            Err(error) => {
                self.pattern(at, text, &error);
                None
            }
        }
    }

    fn pattern(&mut self, at: &str, text: &str, error: &globset::Error) {
        let message = format!("`{text}` is no pattern: {}.", error.kind());
        self.error(
            at,
            ProblemCode::BadPattern,
            message,
            "Use a name, or a pattern such as `fact_*`.",
        );
    }

    fn check(&mut self, spec: &DataGrant) {
        if spec.table.is_none() && spec.functions.is_empty() {
            self.error(
                "",
                ProblemCode::MissingKey,
                "The grant names nothing.".into(),
                "Add `table:` with a name or a pattern such as `public.*`, or `functions:`.",
            );
        }
        if spec.table.is_none() && (spec.columns.is_some() || spec.rows.is_some()) {
            self.error(
                "",
                ProblemCode::Conflict,
                "`columns` and `rows` are of a table, and the grant names none.".into(),
                "Add `table:`.",
            );
        }
        let Some(columns) = &spec.columns else { return };
        for column in &columns.deny {
            let same = |other: &String| other.to_lowercase() == column.to_lowercase();
            let is_shown = columns.allow.iter().flatten().any(same);
            if is_shown || columns.mask.keys().any(same) {
                self.error(
                    "/columns/deny",
                    ProblemCode::Conflict,
                    format!("The grant both shows and denies `{column}`."),
                    "Keep it in one of `allow`, `mask` and `deny`.",
                );
            }
        }
    }

    fn grant(
        &mut self,
        spec: &DataGrant,
        role: &str,
        id: usize,
        datasource: &Datasource,
    ) -> Option<Grant> {
        let dialect = datasource.dialect;
        let tables = match &spec.table {
            Some(text) => match TablePattern::new(text, dialect) {
                Ok(pattern) => Some(pattern),
                Err(error) => {
                    self.pattern("/table", text, &error);
                    return None;
                }
            },
            None => None,
        };
        let functions: Option<Vec<GlobMatcher>> = spec
            .functions
            .iter()
            .enumerate()
            .map(|(i, text)| self.glob(&format!("/functions/{i}"), &text.to_ascii_lowercase()))
            .collect();
        let columns = spec.columns.clone().unwrap_or_default();
        let masks = self.masks(&columns, dialect);
        let rows = match &spec.rows {
            Some(text) => Some(self.fragment("/rows", text, dialect)?),
            None => None,
        };
        let content = content(spec);
        let is_exact = tables.as_ref().is_some_and(|tables| tables.is_exact);
        let rule = Rule { allow: columns.allow, deny: columns.deny, masks: masks?, rows, is_exact };
        let place = self.document.place(&self.at);
        Some(Grant {
            id,
            role: role.to_owned(),
            tables,
            rule,
            functions: functions?,
            content: content.to_string(),
            place,
        })
    }

    fn fragment(&mut self, at: &str, text: &str, dialect: Dialect) -> Option<Fragment> {
        match Fragment::compile(text, dialect) {
            Ok(fragment) => Some(fragment),
            Err(reason) => {
                let message = format!("This is no SQL expression of a policy: {reason}.");
                let hint =
                    "Write a condition on columns, such as `region = $principal.claims.region`.";
                self.error(at, ProblemCode::BadExpression, message, hint);
                None
            }
        }
    }

    fn masks(&mut self, columns: &Columns, dialect: Dialect) -> Option<Vec<(String, Mask)>> {
        let masks = columns.mask.iter();
        let masks: Vec<Option<(String, Mask)>> = masks
            .map(|(column, spec)| {
                let key = column.replace('~', "~0").replace('/', "~1");
                let at = format!("/columns/mask/{key}");
                Some((column.clone(), self.mask(&at, spec, dialect)?))
            })
            .collect();
        masks.into_iter().collect()
    }

    fn mask(&mut self, at: &str, spec: &Value, dialect: Dialect) -> Option<Mask> {
        match mask::read(spec) {
            Ok(Written::Known(mask)) => Some(mask),
            Ok(Written::Sql(text)) => {
                self.fragment(at, text, dialect).map(|fragment| Mask::Sql(fragment.into()))
            }
            Err(NoMask { message, hint }) => {
                self.error(at, ProblemCode::BadValue, message, hint);
                None
            }
        }
    }
}

/// What a grant says, without what it leaves out, and in an order of its own, so that the order in which it is written does not matter.
fn content(spec: &DataGrant) -> Value {
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        json!(names)
    };
    let mut said = Map::new();
    if let Some(table) = &spec.table {
        said.insert("table".into(), json!(table));
    }
    if let Some(columns) = &spec.columns {
        if let Some(allow) = &columns.allow {
            said.insert("allow".into(), sorted(allow));
        }
        if !columns.deny.is_empty() {
            said.insert("deny".into(), sorted(&columns.deny));
        }
        if !columns.mask.is_empty() {
            let masks: BTreeMap<&String, &Value> = columns.mask.iter().collect();
            said.insert("mask".into(), json!(masks));
        }
    }
    if let Some(rows) = &spec.rows {
        said.insert("rows".into(), json!(rows));
    }
    if !spec.functions.is_empty() {
        said.insert("functions".into(), sorted(&spec.functions));
    }
    said.into()
}
