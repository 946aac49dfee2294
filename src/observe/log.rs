//! The log: how it is set up, and the line a call leaves in it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::str::FromStr;

use jiff::Timestamp;
use tracing::Subscriber;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::code::Code;
use super::event::RequestFinished;
use super::per_second::PerSecond;

/// Filter used when none is given: everything notable, and of the calls those that failed on our side.
/// `info,access=info` logs every call, `info,access=off` none.
pub const DEFAULT_FILTER: &str = "info,access=warn";

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text an event, for people.
    #[default]
    Text,
    /// One JSON object an event, for collectors.
    Json,
}

impl FromStr for LogFormat {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LogError::Format(text.into())),
        }
    }
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("log format `{0}` is neither `text` nor `json`")]
    Format(String),
    #[error("log filter `{filter}` is not valid: {source}")]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("standard error cannot be written to: {0}")]
    Closed(io::Error),
    #[error("the log is already set up")]
    AlreadySet,
}

/// Lines that wait to be written. More are left out and counted: whoever reads the log must not hold up calls.
const MAX_WAITING_LINES: usize = 4_096;

/// The log of the process, until dropped: then what waits is written, for a second at most.
#[derive(Debug)]
pub struct Log {
    _writer: WorkerGuard,
    left_out: LeftOut,
}

/// Lines that were left out since nobody took them.
#[derive(Clone, Debug)]
pub struct LeftOut(ErrorCounter);

impl Log {
    /// Sends the log of the whole process to standard error, by a thread of its own. Call it once.
    ///
    /// # Errors
    /// Where the filter is not valid, standard error is closed, or there is a log already.
    pub fn start(format: LogFormat, filter: &str) -> Result<Self, LogError> {
        // A descriptor of its own: the lock of the library's would be held for as long as nobody reads.
        let errors = io::stderr().as_fd().try_clone_to_owned().map_err(LogError::Closed)?;
        let builder = NonBlockingBuilder::default();
        let builder = builder.buffered_lines_limit(MAX_WAITING_LINES).lossy(true);
        let (lines, writer) = builder.thread_name("log").finish(File::from(errors));
        let left_out = LeftOut(lines.error_counter());
        let subscriber = subscriber(format, filter, lines)?;
        tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::AlreadySet)?;
        Ok(Self { _writer: writer, left_out })
    }

    /// What was left out, for the metrics.
    pub fn left_out(&self) -> LeftOut {
        self.left_out.clone()
    }
}

impl LeftOut {
    /// How many.
    pub fn lines(&self) -> u64 {
        self.0.dropped_lines() as u64
    }
}

fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter)
        .map_err(|source| LogError::Filter { filter: filter.into(), source })?;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    // Of its own troubles it would tell standard error, and panic where that cannot be written to.
    let builder = builder.log_internal_errors(false);
    Ok(match format {
        LogFormat::Text => Box::new(builder.finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
}

/// One line for one call, under the target `access`: a failure on our side is a warning, the rest is for information.
///
/// Texts that a caller chose are recorded as values, which the formats quote and escape, so that no caller can forge a
/// line. Of our failures `failures` says how many are told within a second: a database that is down fails each call.
pub(super) fn access_line(request: &RequestFinished<'_>, failures: &PerSecond) {
    // An answer that broke off in the middle had begun with 200.
    let ours = request.status.max(request.code.http_status()) >= 500;
    if ours {
        let Some(left_out) = failures.take(Timestamp::now().as_second()) else { return };
        if left_out > 0 {
            tracing::warn!(target: "access", left_out, "more calls failed than are told");
        }
    }
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                target: "access",
                $level,
                request_id = request.request_id,
                interface = request.interface.code(),
                version = request.interface.version(),
                principal = request.principal,
                ip = request.ip.map(tracing::field::display),
                method = request.method,
                path = request.path,
                code = request.code.as_str(),
                status = request.status,
                cache = request.cache.map(super::event::CacheState::as_str),
                duration_us = u64::try_from(request.duration.as_micros()).unwrap_or(u64::MAX),
                rows = request.rows,
                bytes = request.bytes,
                error = request.error,
                "{}",
                if request.code == Code::Ok { "answered" } else { "refused" },
            )
        };
    }
    if ours { line!(tracing::Level::WARN) } else { line!(tracing::Level::INFO) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use parking_lot::Mutex;

    use super::*;
    use crate::observe::Metrics;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What the log holds after one call with this path and status.
    fn logged(format: LogFormat, filter: &str, path: &str, status: u16) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = subscriber(format, filter, move || writer.clone()).unwrap();
        let interface = Metrics::new().interface("sales", "1.0.0");
        let failures = PerSecond::new(1);
        tracing::subscriber::with_default(subscriber, || {
            let request = RequestFinished {
                is_counted: true,
                measures_latency: true,
                measures_codes: true,
                interface: &interface,
                request_id: "r-1",
                principal: "shop",
                ip: Some([10, 0, 0, 7].into()),
                method: "GET",
                path,
                code: if status == 200 { Code::Ok } else { Code::DatasourceError },
                status,
                cache: None,
                duration: Duration::from_millis(3),
                rows: 2,
                bytes: 80,
                error: None,
            };
            access_line(&request, &failures);
        });
        let bytes = sink.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_are_flat_objects() {
        let text = logged(LogFormat::Json, "access=info", "/data-api/sales", 200);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["interface"], "sales");
        assert_eq!(line["ip"], "10.0.0.7");
        assert_eq!(line["duration_us"], 3000);
        assert_eq!(line["status"], 200);
        assert!(line.get("cache").is_none());
    }

    #[test]
    fn a_caller_cannot_forge_a_line() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let text =
                logged(format, "access=info", "/data-api/x\nERROR access: forged \x1b[31m", 200);
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(!text.contains('\x1b'), "{text}");
        }
    }

    #[test]
    fn the_default_filter_shows_only_calls_that_failed_on_our_side() {
        assert_eq!(logged(LogFormat::Text, DEFAULT_FILTER, "/", 200), "");
        assert!(logged(LogFormat::Text, DEFAULT_FILTER, "/", 502).contains("DATASOURCE_ERROR"));
    }

    #[test]
    fn a_bad_filter_or_format_is_an_error() {
        assert!(matches!(
            subscriber(LogFormat::Text, "a=b=c", io::sink),
            Err(LogError::Filter { .. })
        ));
        assert!(matches!("xml".parse::<LogFormat>(), Err(LogError::Format(_))));
    }
}
