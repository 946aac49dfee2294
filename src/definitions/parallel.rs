//! The same work on many things, on all processors or beside those who answer calls.

use std::num::NonZero;
use std::thread::{self, Builder, ScopedJoinHandle};

use crate::pace::{self, paced};
use crate::sql::grammar;

/// Stack of a thread that compiles: parsers of what people nest recurse, and the caller's stack may be small. The parser of SQL
/// finds in it what it needs; with less it would map a stack of its own for each statement.
const STACK_BYTES: usize = grammar::STACK_BYTES;
/// More threads than this are of little use, and each has a stack.
const MAX_THREADS: usize = 8;
/// For fewer things than this another thread is not worth its start.
const LEAST_SHARE: usize = 64;

/// Runs `work` on a thread with room for recursion.
pub fn with_room<R: Send>(work: impl Fn() -> R + Sync) -> R {
    thread::scope(|scope| start(scope, &work).map_or_else(&work, join))
}

/// What `work` makes of each of `items`, in their order.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let all = thread::available_parallelism().map_or(1, NonZero::get);
    let processors = if pace::is_beside_calls() { all.div_ceil(2) } else { all };
    let threads = processors.min(MAX_THREADS).min(items.len() / LEAST_SHARE).max(1);
    let chunk = items.len().div_ceil(threads).max(1);
    let run = |items: &[T]| paced(items).map(&work).collect::<Vec<R>>();
    thread::scope(|scope| {
        let mut shares = items.chunks(chunk);
        let first = shares.next().unwrap_or_default();
        let others: Vec<_> = shares.map(|share| (share, start(scope, || run(share)))).collect();
        let mut all = run(first);
        for (share, thread) in others {
            all.extend(thread.map_or_else(|| run(share), join));
        }
        all
    })
}

/// Starts a thread, if there is one to be had; else the caller does the work.
fn start<'scope, R: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    work: impl FnOnce() -> R + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, R>> {
    let is_beside_calls = pace::is_beside_calls();
    let thread = Builder::new().name("compile".into()).stack_size(STACK_BYTES);
    thread.spawn_scoped(scope, move || pace::like(is_beside_calls, work)).ok()
}

fn join<R>(thread: ScopedJoinHandle<'_, R>) -> R {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_stays_whatever_the_number() {
        for count in [0, 1, LEAST_SHARE, LEAST_SHARE * MAX_THREADS + 7] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(map(&items, |n| n + 1), (1..=count).collect::<Vec<_>>());
        }
        assert_eq!(with_room(|| 7), 7);
    }
}
