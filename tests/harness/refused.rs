//! How jaula refuses.

use launch::ExitStatus;

use super::{Seen, World};

/// One line, 125, and all of `names` in it; nothing is left behind.
pub fn assert_refused(world: &World, seen: &Seen, names: &[&str]) {
    assert_told(seen, ExitStatus::LAUNCHER_FAILED.into(), names);
    world.assert_no_traces();
}

/// One line, 1, and all of `names` in it: it can't be done with what was named.
pub fn assert_not_done(seen: &Seen, names: &[&str]) {
    assert_told(seen, 1, names);
}

fn assert_told(seen: &Seen, code: i32, names: &[&str]) {
    let said = &seen.stderr;
    assert_eq!(seen.code, Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("jaula: "), "{said}");
    for name in names {
        assert!(said.contains(name), "{name:?} is not in: {said}");
    }
    assert_eq!(seen.stdout_text(), "");
}
