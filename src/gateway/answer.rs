//! From parameters to an answer: the cache, the query, the check against the schema.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Sleep;

use super::error::ApiError;
use super::exchange::{Exchange, Outcome};
use super::messages::{self, Message};
use crate::definitions::snapshot::{CachePolicy, Interface};
use crate::definitions::spec::interface::ValidateResponse;
use crate::engines::EngineError;
use crate::observe::code::Code;
use crate::observe::event::{CacheState, Event};
use crate::query::cache::{Entry, Found, Key};
use crate::query::encode::Format;
use crate::query::execute::{self, Answer, Call, Failure};
use crate::query::scope::Scope;
use crate::query::sink::{Chunks, Outlet};

/// Largest answer that is checked whole against a schema, in bytes.
const MAX_CHECKED_BYTES: usize = 32 << 20;
/// One answer in so many is checked under `sample`, the first among them.
const SAMPLE_EVERY: u64 = 16;
/// Engines end a query at its deadline; this much later the call ends without them.
const GRACE: Duration = Duration::from_secs(2);

/// An answer, before it is a response.
pub enum Answered {
    Whole {
        body: Bytes,
        rows: u64,
        truncated: bool,
    },
    /// From the cache, or put there just now.
    Kept(Arc<Entry>),
    Parts(Running),
}

type Run = BoxFuture<'static, Result<Answer, (bool, Failure)>>;

/// An answer whose query still runs.
pub struct Running {
    chunks: Chunks,
    /// Nothing once it has ended, or was ended at its deadline.
    run: Arc<Mutex<Option<Run>>>,
    is_over: bool,
    ending: AbortHandle,
}

impl Running {
    /// An answer that leaves in parts. A reader that stalls polls nothing, so the deadline is kept by a task beside it.
    fn new(chunks: Chunks, run: Run, until: Instant) -> Self {
        let run = Arc::new(Mutex::new(Some(run)));
        let late = run.clone();
        let ending = tokio::spawn(async move {
            tokio::time::sleep_until(until.into()).await;
            drop(late.lock().take());
        });
        Self { chunks, run, is_over: false, ending: ending.abort_handle() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ending.abort();
        // The task's own share of it may live on for a moment.
        drop(self.run.lock().take());
    }
}

/// What a call asks of its interface.
pub struct Question {
    pub scope: Scope,
    pub format: Format,
    pub deadline: Instant,
}

/// Answers a call from the cache or the datasource.
///
/// # Errors
/// As the query fails.
pub async fn answer(
    exchange: &mut Exchange,
    interface: &Arc<Interface>,
    question: Question,
) -> Result<Answered, ApiError> {
    let Some(policy) = interface.cache else {
        return direct(exchange, call(exchange, interface, question)?).await;
    };
    let key = key(exchange, interface, &question);
    let now = exchange.started;
    let (entry, state) = match exchange.gateway().cache.find(&key, now) {
        Found::Fresh(entry) => (entry, CacheState::Hit),
        Found::Stale(entry) => {
            let call = call(exchange, interface, question)?;
            exchange.gateway().cache.refresh(&entry, now, key.into(), call, policy);
            (entry, CacheState::Stale)
        }
        Found::TooLarge => {
            exchange.cache = Some(CacheState::Bypass);
            return direct(exchange, call(exchange, interface, question)?).await;
        }
        Found::Nothing => {
            exchange.cache = Some(CacheState::Miss);
            let call = call(exchange, interface, question)?;
            match make(exchange, key.into(), call.clone(), policy).await {
                Ok(entry) => (entry, CacheState::Miss),
                Err(Failure::TooLarge) => {
                    exchange.cache = Some(CacheState::Bypass);
                    return direct(exchange, call).await;
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    };
    exchange.cache = Some(state);
    exchange.cache_age_seconds = entry.age_seconds(now);
    if state == CacheState::Miss {
        sample(exchange, interface, &entry.body);
    }
    Ok(Answered::Kept(entry))
}

/// All that a run needs, once there is to be one.
fn call(
    exchange: &Exchange,
    interface: &Arc<Interface>,
    question: Question,
) -> Result<Call, ApiError> {
    let runtime = exchange.generation().runtime(interface);
    let source = runtime.source.clone().ok_or_else(|| {
        let id = &interface.datasource.spec.id;
        ApiError::new(Code::InternalError, Message::Internal).because(format!("no datasource {id}"))
    })?;
    let Question { scope, format, deadline } = question;
    Ok(Call {
        interface: interface.clone(),
        source,
        layouts: runtime.layouts.clone(),
        scope,
        granted: exchange.granted.clone(),
        format,
        message: messages::ok(exchange.language),
        deadline,
    })
}

async fn make(
    exchange: &Exchange,
    key: Key,
    call: Call,
    policy: CachePolicy,
) -> Result<Arc<Entry>, Failure> {
    let until = call.deadline + GRACE;
    let made = exchange.gateway().cache.make(key, call, policy);
    tokio::time::timeout_at(until.into(), made)
        .await
        .unwrap_or(Err(Failure::Engine(EngineError::Timeout)))
}

/// Everything that an answer depends on.
fn key(exchange: &Exchange, interface: &Interface, question: &Question) -> Vec<u8> {
    let mut key = Vec::with_capacity(128);
    key.extend_from_slice(interface.code.as_bytes());
    key.push(0);
    key.extend_from_slice(&interface.fingerprint.to_le_bytes());
    key.extend_from_slice(&[question.format as u8, exchange.language as u8]);
    question.scope.fingerprint(interface, &mut key);
    if let Some(granted) = &exchange.granted {
        granted.fingerprint(&mut key);
    }
    key
}

async fn direct(exchange: &Exchange, call: Call) -> Result<Answered, ApiError> {
    let interface = call.interface.clone();
    let deadline = call.deadline;
    let late = || ApiError::from(EngineError::Timeout);
    if must_check(&interface, call.format) {
        let mut whole = Box::pin(execute::whole(&call, MAX_CHECKED_BYTES));
        let answer = in_time(deadline, whole.as_mut()).await.ok_or_else(late)??;
        return Ok(whole_answer(answer, Vec::new()));
    }
    let (outlet, mut opened) = Outlet::new();
    let mut run: Run = Box::pin(async move { execute::stream(&call, outlet).await });
    tokio::select! {
        biased;
        ended = in_time(deadline, run.as_mut()) => {
            let answer = ended.ok_or_else(late)?.map_err(|(_, failure)| failure)?;
            let before = opened.try_recv().ok().map(|mut chunks| rest(&mut chunks));
            let answered = whole_answer(answer, before.unwrap_or_default());
            if let Answered::Whole { body, .. } = &answered {
                sample(exchange, &interface, body);
            }
            Ok(answered)
        }
        Ok(chunks) = &mut opened => Ok(Answered::Parts(Running::new(chunks, run, deadline + GRACE))),
    }
}

/// What `run` gives, or nothing where it has not ended some time after `deadline`. Engines wake it at the deadline, so that a
/// timer is only set for what goes on after it.
async fn in_time<F: Future + ?Sized>(deadline: Instant, mut run: Pin<&mut F>) -> Option<F::Output> {
    let mut grace: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|context| {
        if let Poll::Ready(output) = run.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if grace.is_none() && Instant::now() < deadline {
            return Poll::Pending;
        }
        let end = || Box::pin(tokio::time::sleep_until((deadline + GRACE).into()));
        grace.get_or_insert_with(end).as_mut().poll(context).map(|()| None)
    })
    .await
}

/// What was sent and not taken yet.
fn rest(chunks: &mut Chunks) -> Vec<u8> {
    let mut rest = Vec::new();
    while let Ok(chunk) = chunks.try_recv() {
        rest.extend_from_slice(&chunk);
    }
    rest
}

fn whole_answer(answer: Answer, mut before: Vec<u8>) -> Answered {
    let body = if before.is_empty() {
        answer.tail.into()
    } else {
        before.extend_from_slice(&answer.tail);
        before.into()
    };
    Answered::Whole { body, rows: answer.rows, truncated: answer.truncated }
}

fn must_check(interface: &Interface, format: Format) -> bool {
    let response = &interface.response;
    format == Format::Json
        && response.schema.is_some()
        && response.validate == ValidateResponse::Always
}

/// Checks now and then, beside the call, whether an answer fits its schema.
fn sample(exchange: &Exchange, interface: &Arc<Interface>, body: &Bytes) {
    let response = &interface.response;
    if response.schema.is_none()
        || response.validate != ValidateResponse::Sample
        || body.len() > MAX_CHECKED_BYTES
    {
        return;
    }
    let runtime = exchange.generation().runtime(interface);
    if !runtime.is_sampled(SAMPLE_EVERY) || !body.starts_with(b"{") {
        return;
    }
    let (interface, body, metrics) = (interface.clone(), body.clone(), runtime.metrics.clone());
    let (observer, request_id) = (exchange.gateway().observer.clone(), exchange.request_id.clone());
    drop(tokio::task::spawn_blocking(move || {
        if let Err(Failure::Mismatch(detail)) = execute::check(&interface, &body) {
            let (interface, request_id, detail) = (&*metrics, request_id.as_str(), detail.as_str());
            observer.report(&Event::SchemaMismatch { interface, request_id, detail });
        }
    }));
}

/// The parts of a running answer, reported at its end. A strict record is stored before the last part leaves.
pub fn parts(running: Running, exchange: Exchange, status: u16) -> super::body::Parts {
    Box::pin(futures::stream::try_unfold(
        (running, exchange),
        move |(mut running, mut exchange)| async move {
            match next(&mut running).await {
                Step::Chunk(chunk) => Ok(Some((chunk, (running, exchange)))),
                Step::End(answer) => {
                    let outcome = Outcome {
                        code: Code::Ok,
                        status,
                        rows: answer.rows,
                        bytes: answer.bytes,
                        error: None,
                    };
                    exchange
                        .finish(&outcome)
                        .await
                        .map_err(|error| io::Error::other(error.to_string()))?;
                    Ok(Some((answer.tail.into(), (running, exchange))))
                }
                Step::Failed(failure) => {
                    let error: ApiError = failure.into();
                    let cause = error.reason();
                    let outcome = Outcome {
                        code: error.code,
                        status,
                        rows: 0,
                        bytes: 0,
                        error: Some(&cause),
                    };
                    let _ = exchange.finish(&outcome).await;
                    Err(io::Error::other("the answer broke off"))
                }
                Step::Nothing => Ok(None),
            }
        },
    ))
}

enum Step {
    Chunk(Bytes),
    End(Answer),
    Failed(Failure),
    Nothing,
}

async fn next(running: &mut Running) -> Step {
    if running.is_over {
        return Step::Nothing;
    }
    let run = running.run.clone();
    let ended = poll_fn(|cx| match run.lock().as_mut() {
        Some(run) => run.as_mut().poll(cx),
        None => Poll::Ready(Err((true, Failure::Engine(EngineError::Timeout)))),
    });
    tokio::select! {
        biased;
        Some(chunk) = running.chunks.recv() => Step::Chunk(chunk),
        ended = ended => {
            running.is_over = true;
            drop(running.run.lock().take());
            match ended {
                Ok(mut answer) => {
                    // What the run sent in its last step comes before its tail.
                    let mut all = rest(&mut running.chunks);
                    all.append(&mut answer.tail);
                    answer.tail = all;
                    Step::End(answer)
                }
                Err((_, failure)) => Step::Failed(failure),
            }
        }
    }
}
