//! How jaula refuses.

use launch::ExitStatus;

use super::{Seen, World};

/// One line, 125, and all of `names` in it; nothing is left behind.
pub fn assert_refused(world: &World, seen: &Seen, names: &[&str]) {
    let said = &seen.stderr;
    assert_eq!(
        seen.code,
        Some(ExitStatus::LAUNCHER_FAILED.into()),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("jaula: "), "{said}");
    for name in names {
        assert!(said.contains(name), "{name:?} is not in: {said}");
    }
    assert_eq!(seen.stdout_text(), "");
    world.assert_no_traces();
}
