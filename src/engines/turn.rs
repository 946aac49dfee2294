//! Whether a call lets the others of its turn go first, so that their answers leave one after the other.

use std::cell::Cell;

/// Calls in a row that nobody else's turn was seen beside, before only one in [`LOOK_EVERY`] looks again.
const LONELY_AFTER: u32 = 8;
/// A power of two.
const LOOK_EVERY: u32 = 16;

thread_local! {
    static TURNS: Turns = const { Turns { calls: Cell::new(0), lonely: Cell::new(0) } };
}

/// What the calls of one thread have seen of each other.
struct Turns {
    /// Calls that came here.
    calls: Cell<u32>,
    /// Those in a row that waited and met nobody.
    lonely: Cell<u32>,
}

/// Lets the other calls that can go on do so, where there have been any of late. All of them are fetched before the first
/// answer is sent: a caller that each answer wakes takes the processor from the next. Where a call is alone, that would
/// only be a look at the sockets.
pub(super) async fn let_others_go() {
    let before = TURNS.with(|turns| {
        let calls = turns.calls.get().wrapping_add(1);
        turns.calls.set(calls);
        let waits = turns.lonely.get() < LONELY_AFTER || calls.is_multiple_of(LOOK_EVERY);
        waits.then_some(calls)
    });
    let Some(before) = before else { return };
    tokio::task::yield_now().await;
    // On another thread by now, perhaps: then it was a busy one, and what is noted there is soon put right.
    TURNS.with(|turns| {
        let was_alone = turns.calls.get() == before;
        turns.lonely.set(if was_alone { turns.lonely.get().saturating_add(1) } else { 0 });
    });
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn poll(turn: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
        futures::FutureExt::now_or_never(turn).is_some()
    }

    #[tokio::test]
    async fn calls_beside_each_other_wait_and_one_alone_soon_does_not() {
        let (mut first, mut second) = (pin!(let_others_go()), pin!(let_others_go()));
        assert!(!poll(first.as_mut()) && !poll(second.as_mut()));
        assert!(poll(first) && poll(second));
        let mut waited = 0;
        for _ in 0..200 {
            let mut turn = pin!(let_others_go());
            if !poll(turn.as_mut()) {
                waited += 1;
                turn.await;
            }
        }
        let most = LONELY_AFTER + 200 / LOOK_EVERY + 1;
        assert!((LONELY_AFTER..=most).contains(&waited), "{waited}");
        // Who looks now and then sees that others are there again.
        for _ in 0..LOOK_EVERY {
            let mut calls = [(); 3].map(|()| Box::pin(let_others_go()));
            let are_done = calls.each_mut().map(|call| poll(call.as_mut()));
            for (call, is_done) in calls.iter_mut().zip(are_done) {
                assert!(is_done || poll(call.as_mut()));
            }
        }
        assert!(!poll(pin!(let_others_go())));
    }
}
