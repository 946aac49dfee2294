//! The engines there are, as one type.

use super::EngineConfig;
use super::mysql::MySql;
use super::postgres::Postgres;
use super::sqlite::Sqlite;
use crate::sql::dialect::Dialect;

/// An engine of whichever kind.
pub(super) enum AnyEngine {
    Sqlite(Sqlite),
    Postgres(Postgres),
    MySql(MySql),
}

/// Runs the same call on whichever engine it is.
macro_rules! with_engine {
    ($any:expr, $engine:ident => $call:expr) => {
        match $any {
            $crate::engines::any::AnyEngine::Sqlite($engine) => $call,
            $crate::engines::any::AnyEngine::Postgres($engine) => $call,
            $crate::engines::any::AnyEngine::MySql($engine) => $call,
        }
    };
}
pub(super) use with_engine;

impl AnyEngine {
    /// The engine that speaks `dialect`.
    pub fn new(dialect: Dialect, config: EngineConfig) -> Self {
        match dialect {
            Dialect::Sqlite => Self::Sqlite(Sqlite::new(config)),
            Dialect::Postgres => Self::Postgres(Postgres::new(config)),
            Dialect::MySql => Self::MySql(MySql::new(config)),
        }
    }

    /// The SQL it speaks.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
            Self::MySql(_) => Dialect::MySql,
        }
    }
}
