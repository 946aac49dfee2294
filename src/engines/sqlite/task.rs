//! A piece of work between the caller who waits for it and the worker who does it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::cancel::{self, Cancel};
use super::pool::{Job, Pool, SLOW_AFTER};
use super::session::Session;
use crate::engines::EngineError;

/// What a worker does with the subject of a task.
type Work<S, T> = fn(&mut Session, &mut S, &Cancel) -> Result<T, EngineError>;

/// Whoever takes the order, worker or caller, owns the subject from then on.
struct Task<S, T> {
    cancel: Arc<Cancel>,
    order: Mutex<Option<Order<S, T>>>,
}

struct Order<S, T> {
    subject: S,
    work: Work<S, T>,
    reply: oneshot::Sender<(S, Result<T, EngineError>)>,
}

impl<S: Send + 'static, T: Send + 'static> Job for Task<S, T> {
    fn run(&self, session: &mut Session) {
        let Some(mut order) = self.order.lock().take() else { return };
        let result = if self.cancel.is_over() {
            Err(EngineError::Timeout)
        } else {
            cancel::during(&self.cancel, || {
                // A sink that panics must not take the thread with it, nor leave its caller waiting.
                catch_unwind(AssertUnwindSafe(|| {
                    (order.work)(session, &mut order.subject, &self.cancel)
                }))
            })
            .unwrap_or_else(|_| {
                session.close();
                Err(EngineError::Value("the reader of the rows panicked".to_owned()))
            })
        };
        // Whatever an interrupted statement calls its failure, the cause is the deadline.
        let result = result
            .map_err(|error| if self.cancel.is_over() { EngineError::Timeout } else { error });
        // Nobody waits where the caller is gone.
        let _ = order.reply.send((order.subject, result));
    }
}

/// Has a worker do `work` with `subject`, which comes back in any case. Dropped, it ends the work.
///
/// # Errors
/// Those of `work`; `Timeout` at `deadline`, also in the queue; `Busy` where the queue is full.
pub async fn run<S: Send + 'static, T: Send + 'static>(
    pool: &Pool,
    subject: S,
    deadline: Instant,
    work: Work<S, T>,
) -> (S, Result<T, EngineError>) {
    let (reply, mut answer) = oneshot::channel();
    let task = Arc::new(Task {
        cancel: Arc::new(Cancel::new(deadline)),
        order: Mutex::new(Some(Order { subject, work, reply })),
    });
    let job: Arc<dyn Job> = task.clone();
    if let Err(error) = pool.submit(&job) {
        let order = task.order.lock().take();
        return (order.expect("no worker saw a refused task").subject, Err(error));
    }
    let caller = Caller { task: &*task, job, pool };
    let mut look_again = Instant::now() + SLOW_AFTER;
    loop {
        let until = look_again.min(deadline);
        if let Ok(answer) = tokio::time::timeout_at(until.into(), &mut answer).await {
            return answer.expect("a worker answers every task it takes");
        }
        if Instant::now() < deadline {
            look_again = if caller.relieve() { Instant::now() + SLOW_AFTER } else { deadline };
            continue;
        }
        if let Some(order) = caller.withdraw() {
            return (order.subject, Err(EngineError::Timeout));
        }
        task.cancel.cancel();
        return answer.await.expect("a worker answers every task it takes");
    }
}

/// The caller's side of a task; when it goes away, so does the work.
struct Caller<'a, S: Send + 'static, T: Send + 'static> {
    task: &'a Task<S, T>,
    job: Arc<dyn Job>,
    pool: &'a Pool,
}

impl<S: Send + 'static, T: Send + 'static> Caller<'_, S, T> {
    /// Gets the queue moving where it stands behind slow work. Whether the task still waits.
    fn relieve(&self) -> bool {
        let waits = self.task.order.lock().is_some();
        if waits {
            self.pool.relieve();
        }
        waits
    }

    /// Takes the task back where no worker has it yet.
    fn withdraw(&self) -> Option<Order<S, T>> {
        let order = self.task.order.lock().take();
        if order.is_some() {
            self.pool.forget(&self.job);
        }
        order
    }
}

impl<S: Send + 'static, T: Send + 'static> Drop for Caller<'_, S, T> {
    fn drop(&mut self) {
        if self.withdraw().is_none() {
            self.task.cancel.cancel();
        }
    }
}
