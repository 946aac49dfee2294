//! The books of the pool: which connection runs what, and which one takes the next query. No I/O here.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::connection::Connection;

/// Connections that fast queries share: as many as there are processors, within these bounds. More are slower: each turn of a
/// server's process finds less waiting.
const PACKED_CONNECTIONS: RangeInclusive<usize> = 2..=16;

/// So many times as many share them where they would wait too long for each other.
const SPREAD_FACTOR: usize = 2;

/// Most queries in flight on one connection.
const MAX_IN_FLIGHT: usize = 64;

/// A connection whose running query is older than this takes no other. Where a query would wait for longer, another
/// connection is looked for.
const YOUNG: Duration = Duration::from_millis(3);

/// How long queries of late were first on a connection is a mean over about so many, since those whose answers come in one
/// read seem to take no time but for the first.
const MEAN_OF: u32 = 32;

/// A query behind one that runs for longer than this moves to another connection. Shorter, and pauses of a loaded
/// machine would look like slow queries.
pub(super) const STUCK: Duration = Duration::from_millis(25);

/// Pause after a failed attempt to connect, while other connections are alive.
const RECONNECT_PAUSE: Duration = Duration::from_millis(250);

/// With whom a query can share its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// A query that only reads and is not known to be slow.
    WithAny,
    /// One known to be slow: alone where there is room, so that no fast one waits behind it.
    IfFull,
    /// One that writes: alone, so that no cancel and no failure of another can hit it.
    Never,
}

/// What a query wants of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    pub(super) share: Share,
    /// Only connections opened later than this: those before may be as dead as the one that broke.
    pub(super) newer_than: Option<Instant>,
}

/// One connection with what is in flight on it.
pub(super) struct Slot {
    pub(super) connection: Arc<Connection>,
    /// In the order they were sent, which is the order the server runs them in.
    tickets: VecDeque<u64>,
    /// Tickets nobody waits for any more, about to be cancelled.
    doomed: Vec<u64>,
    /// Since when the first ticket has been the first.
    head_since: Instant,
    /// How long queries of late were first, on average.
    each: Duration,
    idle_since: Instant,
    /// Given to one query alone.
    alone: bool,
    /// The result of the first ticket is large.
    long: bool,
    /// Kept free for a query that must be alone.
    reserved: bool,
}

/// All connections of a pool.
pub(super) struct Slots {
    pub(super) max: usize,
    /// Connections that fast queries share while none of them would wait for long.
    packed: usize,
    pub(super) open: Vec<Slot>,
    pub(super) opening: usize,
    /// Queries that wait for a connection to themselves, and queries that wait at all.
    pub(super) waiting_alone: usize,
    pub(super) waiting: usize,
    pub(super) failed_at: Option<Instant>,
    next_ticket: u64,
}

/// A place on a connection.
pub(super) struct Place {
    pub(super) connection: Arc<Connection>,
    pub(super) ticket: u64,
    /// How long the connection had been idle.
    pub(super) quiet: Duration,
}

/// A place, if there is one now, and whether another connection should be opened.
pub(super) struct Pick {
    pub(super) place: Option<Place>,
    pub(super) open_another: bool,
}

impl Slot {
    fn is_idle(&self) -> bool {
        self.tickets.is_empty()
    }

    fn suits(&self, need: Need) -> bool {
        need.newer_than.is_none_or(|at| self.connection.opened_at > at)
    }

    /// How long one more query would wait here.
    fn expected_wait(&self) -> Duration {
        self.each.saturating_mul(u32::try_from(self.tickets.len()).unwrap_or(u32::MAX))
    }

    fn takes_shared(&self, now: Instant, need: Need) -> bool {
        let young = self.is_idle() || now.duration_since(self.head_since) < YOUNG;
        young
            && !self.alone
            && !self.long
            && !self.reserved
            && self.doomed.is_empty()
            && self.tickets.len() < MAX_IN_FLIGHT
            && self.suits(need)
    }
}

impl Slots {
    pub(super) fn new(max: usize) -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self {
            max,
            packed: processors.clamp(*PACKED_CONNECTIONS.start(), *PACKED_CONNECTIONS.end()),
            open: Vec::new(),
            opening: 0,
            waiting_alone: 0,
            waiting: 0,
            failed_at: None,
            next_ticket: 1,
        }
    }

    pub(super) fn add(&mut self, connection: Arc<Connection>) {
        let now = Instant::now();
        self.open.push(Slot {
            connection,
            tickets: VecDeque::new(),
            doomed: Vec::new(),
            head_since: now,
            each: Duration::ZERO,
            idle_since: now,
            alone: false,
            long: false,
            reserved: false,
        });
    }

    pub(super) fn busy(&self) -> usize {
        self.open.iter().filter(|slot| !slot.is_idle()).count()
    }

    /// Whether any open connection could serve `need` once it is free.
    pub(super) fn has_candidate(&self, need: Need) -> bool {
        self.open.iter().any(|slot| slot.suits(need))
    }

    /// Takes a place for a query, if there is one now.
    pub(super) fn pick(&mut self, need: Need) -> Pick {
        let now = Instant::now();
        self.open.retain(|slot| !slot.connection.client.is_closed());
        let paused = !self.open.is_empty()
            && self.failed_at.is_some_and(|at| now.duration_since(at) < RECONNECT_PAUSE);
        let full = self.open.len() + self.opening >= self.max;
        let room = !full && !paused;
        if need.share != Share::WithAny {
            if let Some(index) = self.free_for(need) {
                let slot = &mut self.open[index];
                slot.alone = true;
                slot.reserved = false;
                return Pick { place: Some(self.take(index, now)), open_another: false };
            }
            if need.share == Share::Never {
                if !room {
                    self.reserve();
                }
                let enough = self.opening >= self.waiting_alone.max(1);
                return Pick { place: None, open_another: room && !enough };
            }
            if room {
                let enough = self.opening >= self.waiting.max(1);
                return Pick { place: None, open_another: !enough };
            }
        }
        self.pick_shared(need, now, room)
    }

    /// The least loaded of the first few connections that take queries: of as few as will do.
    fn pick_shared(&mut self, need: Need, now: Instant, room: bool) -> Pick {
        let mut best: Option<(usize, (bool, usize))> = None;
        let (mut usable, mut enough) = (0, self.packed * SPREAD_FACTOR);
        for (index, slot) in self.open.iter().enumerate() {
            if !slot.takes_shared(now, need) {
                continue;
            }
            usable += 1;
            let is_long = slot.expected_wait() >= YOUNG;
            if !is_long {
                enough = self.packed;
            }
            let load = (is_long, slot.tickets.len());
            if best.is_none_or(|(_, least)| load < least) {
                best = Some((index, load));
            }
            if slot.is_idle() || usable >= enough {
                break;
            }
        }
        let wanted = match best {
            Some((_, (_, 0))) => 0,
            // Nobody waits for the connection that is to relieve a shared one, so one at a time will do.
            Some(_) => 1,
            None => self.waiting.max(1),
        };
        let open_another = room && self.opening < wanted && usable + self.opening < enough;
        Pick { place: best.map(|(index, _)| self.take(index, now)), open_another }
    }

    /// An idle connection, from the far end: the near ones are those that fast queries share.
    fn free_for(&self, need: Need) -> Option<usize> {
        self.open.iter().rposition(|slot| {
            slot.is_idle() && slot.suits(need) && (!slot.reserved || need.share == Share::Never)
        })
    }

    /// Lets the least loaded connection run dry for a query that must be alone.
    fn reserve(&mut self) {
        let reserved = self.open.iter().filter(|slot| slot.reserved).count();
        if reserved >= self.waiting_alone {
            return;
        }
        let free = self.open.iter_mut().filter(|slot| !slot.reserved && !slot.alone);
        if let Some(slot) = free.min_by_key(|slot| slot.tickets.len()) {
            slot.reserved = true;
        }
    }

    /// Gives back reservations that nobody waits for.
    pub(super) fn unreserve(&mut self) {
        let reserved = self.open.iter().filter(|slot| slot.reserved).count();
        let spare = reserved.saturating_sub(self.waiting_alone);
        self.open
            .iter_mut()
            .filter(|slot| slot.reserved)
            .take(spare)
            .for_each(|slot| slot.reserved = false);
    }

    fn take(&mut self, index: usize, now: Instant) -> Place {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let slot = &mut self.open[index];
        slot.connection.last_ticket.store(ticket, Ordering::SeqCst);
        let mut quiet = Duration::ZERO;
        if slot.is_idle() {
            slot.head_since = now;
            quiet = now.duration_since(slot.idle_since);
        }
        slot.tickets.push_back(ticket);
        Place { connection: slot.connection.clone(), ticket, quiet }
    }

    fn slot(&mut self, connection: &Arc<Connection>) -> Option<&mut Slot> {
        self.open.iter_mut().find(|slot| Arc::ptr_eq(&slot.connection, connection))
    }

    /// Others have come since `ticket` was given out, and nothing has been sent for it: it stands behind them now.
    pub(super) fn requeue(&mut self, connection: &Arc<Connection>, ticket: u64) -> u64 {
        let fresh = self.next_ticket;
        self.next_ticket += 1;
        connection.last_ticket.store(fresh, Ordering::SeqCst);
        if let Some(slot) = self.slot(connection) {
            remove(&mut slot.tickets, ticket, &mut slot.head_since);
            if slot.is_idle() {
                slot.head_since = Instant::now();
            }
            slot.tickets.push_back(fresh);
        }
        fresh
    }

    /// Ends a ticket. Gives back how long it ran at the head of its connection.
    pub(super) fn release(
        &mut self,
        connection: &Arc<Connection>,
        ticket: u64,
    ) -> Option<Duration> {
        let slot = self.slot(connection)?;
        let ran = remove(&mut slot.tickets, ticket, &mut slot.head_since);
        slot.doomed.retain(|doomed| *doomed != ticket);
        slot.each = (slot.each * (MEAN_OF - 1) + ran.unwrap_or_default()) / MEAN_OF;
        if ran.is_some() {
            slot.long = false;
        }
        if slot.is_idle() {
            slot.alone = false;
            slot.idle_since = slot.head_since;
        }
        ran
    }

    /// Takes a connection out; what is in flight on it goes on, or is aborted by the caller.
    pub(super) fn remove(&mut self, connection: &Arc<Connection>) {
        self.open.retain(|slot| !Arc::ptr_eq(&slot.connection, connection));
    }

    /// Nobody waits for `ticket` any more.
    pub(super) fn doom(&mut self, connection: &Arc<Connection>, ticket: u64) {
        if let Some(slot) = self.slot(connection) {
            slot.doomed.push(ticket);
        }
    }

    /// Whether a cancel now would hit only what nobody waits for.
    pub(super) fn may_cancel(&mut self, connection: &Arc<Connection>, ticket: u64) -> Cancel {
        let Some(slot) = self.slot(connection) else { return Cancel::Freely };
        let mut ahead = slot.tickets.iter().take_while(|other| **other != ticket);
        if !ahead.all(|other| slot.doomed.contains(other)) {
            return Cancel::Wait;
        }
        if slot.tickets.iter().all(|other| slot.doomed.contains(other)) {
            return Cancel::Freely;
        }
        Cancel::IfNotReached
    }

    /// Whether others are on the connection of `ticket`, and the first of all has been running for too long.
    pub(super) fn is_crowded(&mut self, connection: &Arc<Connection>) -> bool {
        self.slot(connection)
            .is_some_and(|slot| slot.tickets.len() > 1 && slot.head_since.elapsed() > STUCK)
    }

    /// Whether `ticket` waits behind a query that has been running for too long.
    pub(super) fn is_stuck(&mut self, connection: &Arc<Connection>, ticket: u64) -> bool {
        self.slot(connection).is_some_and(|slot| {
            slot.tickets.front().is_some_and(|first| *first != ticket)
                && slot.head_since.elapsed() > STUCK
        })
    }

    /// The result of `ticket` is large: the connection takes no other until it has ended.
    pub(super) fn mark_long(&mut self, connection: &Arc<Connection>) {
        if let Some(slot) = self.slot(connection) {
            slot.long = true;
        }
    }

    /// Takes out connections that have been idle for longer than `limit`.
    pub(super) fn take_idle(&mut self, limit: Duration) -> Vec<Slot> {
        let old = |slot: &mut Slot| slot.is_idle() && slot.idle_since.elapsed() >= limit;
        self.open.extract_if(.., old).collect()
    }
}

/// Whether the query of a ticket can be cancelled without harm to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancel {
    /// Somebody's query runs before it.
    Wait,
    /// It is first, but others are behind it: only if none of them has been reached yet.
    IfNotReached,
    /// Nobody else is on the connection, or it has left the pool.
    Freely,
}

/// Removes `ticket`; if it was the first, the next one has been first from now on. Gives back how long it was first.
fn remove(tickets: &mut VecDeque<u64>, ticket: u64, head_since: &mut Instant) -> Option<Duration> {
    let position = tickets.iter().position(|other| *other == ticket)?;
    tickets.remove(position);
    if position > 0 {
        return None;
    }
    let now = Instant::now();
    let ran = now.duration_since(*head_since);
    *head_since = now;
    Some(ran)
}
