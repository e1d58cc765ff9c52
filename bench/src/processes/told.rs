//! What a `jaula run` tells of the start of what it runs, and how it is ended before that has.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

use launch::Timeline;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::NamedTempFile;

use super::Error;
use crate::pss;

/// More than any timeline takes.
const MAX_BYTES: u64 = 64 << 10;

/// A file that it writes when the command starts: `--timeline`.
pub(super) struct Told {
    file: NamedTempFile,
    timeline: OnceLock<Timeline>,
}

impl Told {
    /// Of one that is not started yet.
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            file: NamedTempFile::new().map_err(Error::Start)?,
            timeline: OnceLock::new(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// From its `launch()` on; `None` as long as the command has not started.
    pub(super) fn timeline(&self) -> Option<&Timeline> {
        if self.timeline.get().is_none() {
            let mut text = Vec::new();
            let file = fs::File::open(self.path()).ok()?;
            file.take(MAX_BYTES).read_to_end(&mut text).ok()?;
            let timeline = serde_json::from_slice(&text).ok()?;
            // What another thread has read meanwhile is the same.
            let _ = self.timeline.set(timeline);
        }
        self.timeline.get()
    }
}

/// Kills what a runner has started, which it then clears up after: were it killed itself, what it leaves
/// would have to be found. Whether there was anything.
pub(super) fn end_what_it_runs(runner: Pid) -> bool {
    let children = pss::children(runner.as_raw().cast_unsigned()).unwrap_or_default();
    for child in &children {
        // It may have ended already.
        let _ = kill(Pid::from_raw(child.cast_signed()), Signal::SIGKILL);
    }
    !children.is_empty()
}
