//! Faults of the process and its surroundings: a full disk, a kill, a storm of reloads.

mod full_disk;
mod kill;
mod storm;
