//! Room for those who answer calls, in work that takes long: pauses, but where nobody calls yet.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

/// So long is worked at a stretch where others answer calls on the same processors: what they would wait for otherwise is
/// the scheduler's turn, which is many calls long.
const STRETCH: Duration = Duration::from_micros(150);
/// How long is paused in between.
const PAUSE: Duration = Duration::from_micros(50);

thread_local! {
    /// Whether nobody else needs the processors; see [`alone`].
    static IS_ALONE: Cell<bool> = const { Cell::new(false) };
    /// When this thread began, or went on after a pause.
    static SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs `work` while nobody calls yet: on all processors and without pauses. All else leaves half of them, and pauses.
pub fn alone<R>(work: impl FnOnce() -> R) -> R {
    set_alone(true, work)
}

/// Whether this thread has all processors for itself.
pub fn is_alone() -> bool {
    IS_ALONE.get()
}

/// The same as another thread, for which this one works.
pub fn set_alone<R>(is_alone: bool, work: impl FnOnce() -> R) -> R {
    let before = IS_ALONE.replace(is_alone);
    let result = work();
    IS_ALONE.set(before);
    result
}

/// Makes room in long work for those who answer calls. To be called between small pieces of it.
pub fn breathe() {
    if IS_ALONE.get() {
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
    fn only_work_that_is_alone_makes_no_pauses() {
        let pauses = || {
            let began = |()| {
                thread::sleep(STRETCH);
                breathe();
                SINCE.get()
            };
            let began: Vec<_> = [(); 9].map(began).to_vec();
            began.windows(2).filter(|two| two[0] != two[1]).count()
        };
        assert_eq!(alone(pauses), 0);
        assert_eq!(pauses(), 8);
        assert_eq!(alone(|| set_alone(false, pauses)), 8);
        assert!(!is_alone());
    }
}
