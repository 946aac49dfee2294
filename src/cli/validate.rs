//! `tidegate validate`: compiles everything and prints every problem. Exit 0: clean, 1: problems, 2: could not run.

use std::collections::HashSet;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::json;

use super::{Root, cannot_run};
use crate::access::mask_key::MaskKey;
use crate::definitions::compile::compile;
use crate::definitions::grant::TablePattern;
use crate::definitions::load::load;
use crate::definitions::problem::{Problem, ProblemCode, Severity};
use crate::definitions::snapshot::{Interface, Role, Snapshot};
use crate::engines::{EngineError, catalog};
use crate::live::generation::Generation;
use crate::observe::Observer;
use crate::sql::statement::Values;
use crate::sql::view::View;

/// Longest that preparing one statement may take.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    root: Root,
    /// How problems are printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Also prepare every query against its datasource.
    #[arg(long)]
    live: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
    /// Annotations of a GitHub workflow.
    Github,
}

/// Compiles the tree and prints its problems.
pub fn run(arguments: &Arguments) -> ExitCode {
    let root = &arguments.root.root;
    if !root.is_dir() {
        return cannot_run(format!("`{}` is no directory", root.display()));
    }
    let tree = load(root);
    let (problems, summary) = match compile(&tree) {
        Ok(snapshot) => {
            let summary = format!(
                "{} interfaces, {} datasources, {} consumers, {} roles",
                snapshot.interfaces.len(),
                snapshot.datasources.len(),
                snapshot.policies.consumers.len(),
                snapshot.policies.roles.len()
            );
            match check_prepared(snapshot, arguments) {
                Ok(problems) => (problems, summary),
                Err(error) => return cannot_run(error),
            }
        }
        Err(problems) => (problems, String::new()),
    };
    print(&problems, &summary, &tree.revision, arguments.format);
    let failed = problems.iter().any(Problem::is_error);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn check_prepared(snapshot: Snapshot, arguments: &Arguments) -> Result<Vec<Problem>, String> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let observer = Observer::new(crate::observe::metrics::Metrics::new().into());
    let handle = Some(runtime.handle().clone());
    let key = MaskKey::ephemeral().into();
    let root = &arguments.root.root;
    let generation = Generation::prepare(snapshot, None, root, handle, &observer, &key);
    let mut problems = generation.warnings.clone();
    if arguments.live {
        problems.extend(runtime.block_on(describe_all(&generation)));
        problems.extend(runtime.block_on(look_at_grants(&generation)));
        problems.sort();
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(problems)
}

/// Prepares the statements of every interface; a datasource that cannot be reached is named once.
async fn describe_all(generation: &Generation) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut unreachable: HashSet<&str> = HashSet::new();
    for interface in &generation.snapshot.interfaces {
        let id = interface.datasource.spec.id.as_str();
        if unreachable.contains(id) {
            continue;
        }
        let Some(source) = generation.registry.get(id) else { continue };
        let Some(sql) = statement(interface) else { continue };
        match source.describe(&sql, Instant::now() + DESCRIBE_TIMEOUT).await {
            Ok(_) => {}
            Err(
                error @ (EngineError::Unavailable(_)
                | EngineError::Timeout
                | EngineError::Busy { .. }
                | EngineError::Shut { .. }),
            ) => {
                unreachable.insert(id);
                problems.push(Problem::error(
                    interface.datasource.place.clone(),
                    ProblemCode::SqlRefused,
                    format!("The datasource `{id}` does not answer: {error}."),
                    "Check that it runs and that host, user and password are right.",
                ));
            }
            Err(error) => problems.push(Problem::error(
                interface.place.clone(),
                ProblemCode::SqlRefused,
                format!("The database refuses the query of `{}`: {error}.", interface.label()),
                "Check the names of tables and columns, and the rights of the user.",
            )),
        }
    }
    problems
}

/// Looks whether the tables that grants name are there, with the columns that they name.
async fn look_at_grants(generation: &Generation) -> Vec<Problem> {
    let mut problems = Vec::new();
    let roles = &generation.snapshot.policies.roles;
    for (id, grant) in roles.iter().flat_map(Role::all_data) {
        let Some(table) = grant.tables.as_ref().and_then(TablePattern::named) else { continue };
        let Some(source) = generation.registry.get(id) else { continue };
        let deadline = Instant::now() + DESCRIBE_TIMEOUT;
        // A datasource that does not answer is told of by its interfaces.
        let Ok(shape) = catalog::shape(source, &table, deadline).await else { continue };
        let wrong = match shape {
            None => Some(format!("`{id}` has no table `{table}`")),
            Some(shape) => {
                View::of(&shape, &[&grant.rule], source.dialect(), &mut Vec::new()).err()
            }
        };
        if let Some(wrong) = wrong {
            problems.push(Problem::error(
                grant.place.clone(),
                ProblemCode::PolicyDoubtful,
                format!("The grant does not fit its table, which is closed by it: {wrong}."),
                "Check the names of table and columns.",
            ));
        }
    }
    problems
}

/// The statement for usual values.
fn statement(interface: &Interface) -> Option<String> {
    let names = interface.query.template.usual_values();
    let rendered = interface.query.template.render(&names).ok()?;
    let values = Values { names: &names, rendered: &rendered.values, grants: &[] };
    let (sql, _) = rendered.statement.query.bind(&values);
    Some(sql.to_string())
}

fn print(problems: &[Problem], summary: &str, revision: &str, format: Format) {
    match format {
        Format::Text => {
            for problem in problems {
                say!("{problem}");
            }
            let errors = problems.iter().filter(|problem| problem.is_error()).count();
            let warnings = problems.len() - errors;
            if errors == 0 {
                say!("ok: {summary}, {warnings} warnings, revision {revision}");
            } else {
                say!("{errors} errors, {warnings} warnings");
            }
        }
        Format::Json => say!("{:#}", json!({ "revision": revision, "problems": problems })),
        Format::Github => problems.iter().for_each(print_annotation),
    }
}

fn print_annotation(problem: &Problem) {
    let level = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let escape = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let text = escape(&format!("{} {}", problem.message, problem.hint));
    let (place, code) = (&problem.place, problem.code.as_str());
    let file = escape(&place.file);
    say!("::{level} file={file},line={},col={},title={code}::{text}", place.line, place.column);
}
