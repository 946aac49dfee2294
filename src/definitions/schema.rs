//! JSON Schemas of the kinds: for editors (`tidegate schema KIND`) and for checking the shape of documents.

use std::sync::LazyLock;

use jsonschema::Validator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::spec::consumer::Consumer;
use super::spec::datasource::Datasource;
use super::spec::interface::Interface;
use super::spec::jwt_issuer::JwtIssuer;
use super::spec::role::Role;

/// A kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Datasource,
    Interface,
    Consumer,
    Role,
    JwtIssuer,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Datasource, Self::Interface, Self::Consumer, Self::Role, Self::JwtIssuer];

    /// The word after `kind:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Datasource => "datasource",
            Self::Interface => "interface",
            Self::Consumer => "consumer",
            Self::Role => "role",
            Self::JwtIssuer => "jwt_issuer",
        }
    }

    /// The kind that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The folder below the root where its documents stand.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Datasource => "datasources",
            Self::Interface => "definitions",
            Self::Consumer | Self::Role | Self::JwtIssuer => "policies",
        }
    }

    /// The key that names a document of this kind.
    pub fn identity(self) -> &'static str {
        match self {
            Self::Interface => "code",
            Self::Datasource => "id",
            Self::Consumer | Self::Role | Self::JwtIssuer => "name",
        }
    }

    /// JSON Schema of a document of this kind.
    pub fn schema(self) -> &'static Value {
        &compiled(self).0
    }

    /// The same, compiled.
    pub fn validator(self) -> &'static Validator {
        &compiled(self).1
    }
}

fn compiled(kind: Kind) -> &'static (Value, Validator) {
    static COMPILED: LazyLock<Vec<(Value, Validator)>> = LazyLock::new(|| {
        let compile = |kind: Kind| {
            let schema = generate(kind);
            let validator = jsonschema::validator_for(&schema)
                .expect("the schemas of our own kinds are valid, which a test holds");
            (schema, validator)
        };
        Kind::ALL.into_iter().map(compile).collect()
    });
    &COMPILED[Kind::ALL.iter().position(|known| *known == kind).unwrap_or_default()]
}

fn generate(kind: Kind) -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let schema = match kind {
        Kind::Datasource => generator.into_root_schema_for::<Datasource>(),
        Kind::Interface => generator.into_root_schema_for::<Interface>(),
        Kind::Consumer => generator.into_root_schema_for::<Consumer>(),
        Kind::Role => generator.into_root_schema_for::<Role>(),
        Kind::JwtIssuer => generator.into_root_schema_for::<JwtIssuer>(),
    };
    let mut schema = schema.to_value();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        let mut with_kind = Map::new();
        with_kind.insert("kind".into(), json!({"const": kind.as_str()}));
        with_kind.append(properties);
        *properties = with_kind;
    }
    if let Some(schema) = schema.as_object_mut() {
        let mut required = vec![json!("kind")];
        if let Some(Value::Array(more)) = schema.get("required") {
            required.extend(more.iter().cloned());
        }
        schema.insert("required".into(), required.into());
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_valid_schema() {
        for kind in Kind::ALL {
            assert!(jsonschema::meta::is_valid(kind.schema()), "{kind:?}");
            assert_eq!(kind.schema()["additionalProperties"], json!(false), "{kind:?}");
        }
    }
}
