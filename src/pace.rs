//! Room for those who answer calls, in work beside them that takes long: pauses, and half of the processors.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

/// So long is worked at a stretch where others answer calls on the same processors: what they would wait for otherwise is
/// the scheduler's turn, which is many calls long.
const STRETCH: Duration = Duration::from_micros(150);
/// How long is paused in between.
const PAUSE: Duration = Duration::from_micros(50);

thread_local! {
    /// Whether others need the processors; see [`beside_calls`].
    static IS_BESIDE_CALLS: Cell<bool> = const { Cell::new(false) };
    /// When this thread began, or went on after a pause.
    static SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs long `work` with room for those who answer calls. Not for threads that answer some themselves: it sleeps.
pub fn beside_calls<R>(work: impl FnOnce() -> R) -> R {
    like(true, work)
}

/// Whether this thread leaves room for calls.
pub fn is_beside_calls() -> bool {
    IS_BESIDE_CALLS.get()
}

/// Runs `work` as another thread would, for which this one does it.
pub fn like<R>(is_beside_calls: bool, work: impl FnOnce() -> R) -> R {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            IS_BESIDE_CALLS.set(self.0);
        }
    }
    let _before = Before(IS_BESIDE_CALLS.replace(is_beside_calls));
    work()
}

/// Makes room for calls where this thread works beside them. To be called between small pieces of long work.
pub fn breathe() {
    if !IS_BESIDE_CALLS.get() {
        return;
    }
    let now = Instant::now();
    match SINCE.get() {
        Some(since) if now.duration_since(since) < STRETCH => {}
        Some(_) => {
            thread::sleep(PAUSE);
            SINCE.set(Some(Instant::now()));
        }
        None => SINCE.set(Some(now)),
    }
}

/// The same items, with room made before each.
pub fn paced<I: IntoIterator>(items: I) -> impl Iterator<Item = I::Item> {
    items.into_iter().inspect(|_| breathe())
}

/// Drops many things, with room made before each.
pub fn free<I: IntoIterator>(items: I) {
    paced(items).for_each(drop);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_work_beside_calls_makes_pauses() {
        let pauses = || {
            let began = |()| {
                thread::sleep(STRETCH);
                breathe();
                SINCE.get()
            };
            let began: Vec<_> = [(); 9].map(began).to_vec();
            began.windows(2).filter(|two| two[0] != two[1]).count()
        };
        assert_eq!(pauses(), 0);
        assert_eq!(beside_calls(pauses), 8);
        assert_eq!(beside_calls(|| like(false, pauses)), 0);
        let ended = std::panic::catch_unwind(|| beside_calls(|| panic!("in the middle of it")));
        assert!(ended.is_err() && !is_beside_calls());
    }
}
