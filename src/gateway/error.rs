//! Errors of the request path: one table from cause to code, status, message, details and hint when to return.

use std::time::Duration;

use serde_json::{Value, json};

use super::messages::{self, Language, Message};
use super::respond::seconds;
use crate::access::authenticate::Refused;
use crate::access::rights::Refusal;
use crate::definitions::fault::Fault;
use crate::engines::EngineError;
use crate::observe::code::Code;
use crate::observe::event::Denial;
use crate::query::execute::Failure;
use crate::query::params::{Malformed, ParamFault};
use crate::query::scope::MissingClaim;

/// When to return after a datasource failed for good.
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(1);
/// When to return to a gateway that has too much to do.
const RETRY_OVERLOADED: Duration = Duration::from_secs(1);

/// An answer that is not well.
#[derive(Clone, Debug)]
pub struct ApiError {
    pub code: Code,
    pub status: u16,
    pub message: Message,
    pub faults: Vec<ParamFault>,
    pub retry_after: Option<Duration>,
    /// Methods of the interface, with 405.
    pub allow: Option<&'static str>,
    /// Why the caller was turned away.
    pub denial: Option<Denial>,
    /// For the log and the audit record, never for the caller.
    pub internal: Option<String>,
}

impl ApiError {
    /// An error with the usual status of its code.
    pub fn new(code: Code, message: Message) -> Self {
        Self {
            code,
            status: code.http_status(),
            message,
            faults: Vec::new(),
            retry_after: None,
            allow: None,
            denial: None,
            internal: None,
        }
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with a cause for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.internal = Some(cause.into());
        self
    }

    /// The gateway has as many calls to answer as it may.
    pub fn overloaded() -> Self {
        Self {
            retry_after: Some(RETRY_OVERLOADED),
            ..Self::new(Code::Overloaded, Message::Overloaded)
        }
    }

    /// No route or no such version.
    pub fn not_found(message: Message) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// A parameter that the gateway itself takes.
    pub fn parameter(name: &str, fault: Fault) -> Self {
        vec![(name.to_owned(), fault)].into()
    }

    /// Why, in English, for the log and the audit record: the cause that is not for the caller, or what the caller is told.
    pub fn reason(&self) -> String {
        if let Some(cause) = &self.internal {
            return cause.clone();
        }
        let told = if self.faults.is_empty() {
            self.message.text(Language::En)
        } else {
            let faults = self.faults.iter();
            let told: Vec<String> =
                faults.map(|(field, fault)| messages::fault(field, fault, Language::En)).collect();
            told.join(" ")
        };
        match self.denial {
            Some(denial) => format!("{}: {told}", denial.as_str()),
            None => told,
        }
    }

    /// The envelope.
    pub fn to_json(&self, language: Language) -> Value {
        let details: Vec<Value> = self
            .faults
            .iter()
            .map(|(field, fault)| {
                let message = messages::fault(field, fault, language);
                json!({ "field": field, "error": fault.word(), "message": message })
            })
            .collect();
        let message = match self.faults.as_slice() {
            [(field, fault)] => messages::fault(field, fault, language),
            _ => self.message.text(language),
        };
        json!({ "code": self.code.as_str(), "message": message, "success": false, "details": details })
    }
}

impl From<Vec<ParamFault>> for ApiError {
    fn from(faults: Vec<ParamFault>) -> Self {
        Self { faults, ..Self::new(Code::InvalidParam, Message::InvalidParameters) }
    }
}

impl From<Malformed> for ApiError {
    fn from(malformed: Malformed) -> Self {
        Self::new(
            Code::InvalidParam,
            match malformed {
                Malformed::Query => Message::MalformedQuery,
                Malformed::TooManyParameters => Message::TooManyParameters,
                Malformed::Json => Message::MalformedJson,
                Malformed::TooDeep => Message::TooDeep,
            },
        )
    }
}

impl From<Denial> for ApiError {
    fn from(denial: Denial) -> Self {
        let (code, message) = match denial {
            Denial::AddressNotAllowed => (Code::Forbidden, Message::AddressNotAllowed),
            Denial::OriginNotAllowed => (Code::Forbidden, Message::OriginNotAllowed),
            Denial::NotGranted => (Code::Forbidden, Message::NotGranted),
            Denial::DataNotGranted => (Code::Forbidden, Message::DataNotGranted),
            Denial::MissingCredentials => (Code::Unauthorized, Message::MissingCredentials),
            Denial::MalformedCredentials => (Code::Unauthorized, Message::MalformedCredentials),
            _ => (Code::Unauthorized, Message::BadCredentials),
        };
        Self { denial: Some(denial), ..Self::new(code, message) }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Denied(denial) => denial.into(),
            Refused::TooManyFailures(wait) => Self {
                denial: Some(Denial::TooManyFailures),
                retry_after: Some(wait),
                ..Self::new(Code::RateLimited, Message::TooManyFailures(seconds(wait)))
            },
        }
    }
}

impl From<MissingClaim> for ApiError {
    fn from(MissingClaim(claim): MissingClaim) -> Self {
        Self {
            denial: Some(Denial::NotGranted),
            ..Self::new(Code::Forbidden, Message::MissingClaim(claim))
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Anonymous => Denial::MissingCredentials.into(),
            Refusal::NotGranted(cause) => Self::from(Denial::DataNotGranted).because(cause),
            Refusal::MissingClaim(claim) => MissingClaim(claim).into(),
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let cause = failure.to_string();
        let error = match failure {
            Failure::Engine(error) => return error.into(),
            Failure::Unfit { parameter, .. } => Self::parameter(&parameter, Fault::Unfit),
            Failure::NotGranted(_) => Denial::DataNotGranted.into(),
            Failure::Refused(_) => Self::new(Code::InvalidParam, Message::RefusedByParameters),
            Failure::Mismatch(_) => Self::new(Code::SchemaMismatch, Message::SchemaMismatch),
            Failure::Render(_) | Failure::TooLarge | Failure::Abandoned => {
                Self::new(Code::InternalError, Message::Internal)
            }
        };
        error.because(cause)
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let cause = error.to_string();
        let answer = match error {
            EngineError::Timeout => Self::new(Code::Timeout, Message::Timeout),
            EngineError::Busy { retry_after } | EngineError::Shut { retry_after, .. } => Self {
                retry_after: Some(retry_after.max(RETRY_UNAVAILABLE)),
                ..Self::new(Code::DatasourceError, Message::DatasourceBusy).with_status(503)
            },
            EngineError::BadValue { .. } => Self::new(Code::InvalidParam, Message::UnfitValue),
            EngineError::Unavailable(_) | EngineError::Statement { .. } | EngineError::Value(_) => {
                Self::new(Code::DatasourceError, Message::DatasourceFailed)
            }
        };
        answer.because(cause)
    }
}
