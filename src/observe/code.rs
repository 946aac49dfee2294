//! The outcome codes of a call: what callers read in `code`, operators in metrics, auditors in the log.

use super::label::label_enum;

label_enum! {
    /// How a call ended. The texts never change.
    pub enum Code {
        Ok = "OK",
        InvalidParam = "INVALID_PARAM",
        Unauthorized = "UNAUTHORIZED",
        Forbidden = "FORBIDDEN",
        NotFound = "NOT_FOUND",
        RateLimited = "RATE_LIMITED",
        InternalError = "INTERNAL_ERROR",
        SchemaMismatch = "SCHEMA_MISMATCH",
        DatasourceError = "DATASOURCE_ERROR",
        Timeout = "TIMEOUT",
        /// The gateway itself has as much to do as it may.
        Overloaded = "OVERLOADED",
    }
}

impl Code {
    /// The usual HTTP status. Some answers refine it: 405, 413, 415, or 503 for an overloaded datasource.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::InvalidParam => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::RateLimited => 429,
            Self::InternalError | Self::SchemaMismatch => 500,
            Self::DatasourceError => 502,
            Self::Timeout => 504,
            Self::Overloaded => 503,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_statuses_follow_the_contract() {
        let table: Vec<_> = Code::ALL.iter().map(|c| (c.as_str(), c.http_status())).collect();
        assert_eq!(
            table,
            [
                ("OK", 200),
                ("INVALID_PARAM", 400),
                ("UNAUTHORIZED", 401),
                ("FORBIDDEN", 403),
                ("NOT_FOUND", 404),
                ("RATE_LIMITED", 429),
                ("INTERNAL_ERROR", 500),
                ("SCHEMA_MISMATCH", 500),
                ("DATASOURCE_ERROR", 502),
                ("TIMEOUT", 504),
                ("OVERLOADED", 503),
            ]
        );
    }

    #[test]
    fn texts_parse_back_and_indexes_match_positions() {
        for (position, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(Code::parse(code.as_str()), Some(code));
            assert_eq!(code.index(), position);
        }
        assert_eq!(Code::parse("ok"), None);
    }
}
