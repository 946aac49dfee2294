//! What is different between two texts, line by line, as people read it.

use std::time::Duration;

use similar::TextDiff;

/// Lines around a difference that are shown with it.
const CONTEXT: usize = 3;
/// After so long the difference is told coarsely.
const PATIENCE: Duration = Duration::from_millis(200);

/// The differences in the unified form, without a head; empty where there are none.
pub fn unified(old: &str, new: &str) -> String {
    let mut config = TextDiff::configure();
    config.timeout(PATIENCE);
    config.diff_lines(old, new).unified_diff().context_radius(CONTEXT).to_string()
}
