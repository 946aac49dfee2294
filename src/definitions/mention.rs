//! What interfaces say of consumers, roles and each other. It is looked at in every tree anew, whether an interface changed
//! or what it mentions.

use super::problem::{Problem, Spot, dangling};
use super::schema::Kind;
use super::sources::{Source, Sources};
use super::spec::interface::{Caller, Interface};
use crate::pace::paced;

/// What the checks of a whole tree need of an interface's document.
#[derive(Clone, Debug)]
pub struct Outline {
    /// Where its `path` stands.
    pub path: Spot,
    /// Where it is marked `default`.
    pub default: Spot,
    mentions: Box<[Mention]>,
}

/// A name of something else.
#[derive(Clone, Debug)]
struct Mention {
    at: Spot,
    name: String,
    /// What it may be the name of.
    kinds: &'static [Kind],
}

impl Outline {
    /// Of a document.
    pub fn of(source: &Source<Interface>) -> Self {
        let Source { spec, document } = source;
        let mut mentions = Vec::new();
        let mut mention = |at: &str, name: &str, kinds: &'static [Kind]| {
            mentions.push(Mention { at: document.spot(at), name: name.to_owned(), kinds });
        };
        for (i, test) in spec.tests.iter().enumerate() {
            match &test.caller {
                Some(Caller::Name(name)) => {
                    mention(&format!("/tests/{i}/as"), name, &[Kind::Consumer, Kind::Role]);
                }
                Some(Caller::Token(token)) => {
                    for (r, name) in token.roles.iter().enumerate() {
                        mention(&format!("/tests/{i}/as/roles/{r}"), name, &[Kind::Role]);
                    }
                }
                None => {}
            }
        }
        for (i, parameter) in spec.parameters.iter().enumerate() {
            let options = parameter.options.as_ref();
            if let Some(code) = options.and_then(|options| options.interface.as_ref()) {
                let at = format!("/parameters/{i}/options/interface");
                mention(&at, code, &[Kind::Interface]);
            }
        }
        let (path, default) = (document.spot("/path"), document.spot("/default"));
        Self { path, default, mentions: mentions.into() }
    }

    /// Finds the names that nothing defines.
    fn check(&self, file: &str, sources: &Sources, problems: &mut Vec<Problem>) {
        for Mention { at, name, kinds } in &self.mentions {
            if kinds.iter().any(|kind| sources.may_exist(*kind, name)) {
                continue;
            }
            let words: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
            let known = kinds.iter().flat_map(|kind| sources.names(*kind));
            problems.push(dangling(at.within(file), &words.join(" or "), name, known));
        }
    }
}

/// Finds the names in interfaces that nothing defines.
pub fn check(sources: &Sources, problems: &mut Vec<Problem>) {
    for given in paced(&sources.interfaces) {
        let (outline, file) = given.outline();
        outline.check(file, sources, problems);
    }
}
