use std::time::Duration;

use host::cgroup::CgroupView;
use launch::{ExitStatus, Running, WindowSize};
use nix::sys::signal::Signal;

use crate::command::RunningCommand;

/// A further command in a container. Dropping it kills it.
pub(super) struct FurtherCommand<'a> {
    pub(super) command: RunningCommand,
    pub(super) memory: Option<MemoryWatch<'a>>,
}

/// How many processes of a container had been killed for want of memory at some moment.
pub(super) struct MemoryWatch<'a> {
    cgroup: &'a CgroupView,
    kills_before: u64,
}

impl<'a> MemoryWatch<'a> {
    /// From now on; `None` where that is not counted.
    pub(super) fn begin(cgroup: &'a CgroupView) -> Option<Self> {
        Some(Self {
            cgroup,
            kills_before: cgroup.oom_kills().ok()?,
        })
    }
}

impl Running for FurtherCommand<'_> {
    fn signal(&self, signal: Signal) -> Result<(), launch::Error> {
        self.command.signal(signal)
    }

    fn resize(&self, size: WindowSize) -> Result<(), launch::Error> {
        self.command.resize(size)
    }

    fn wait_executed(&self) -> Result<Option<ExitStatus>, launch::Error> {
        self.command.wait_executed()
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<Option<ExitStatus>, launch::Error> {
        self.command.wait(timeout)
    }

    /// A cgroup that is gone has ended with all that was in it, and counts nothing.
    fn out_of_memory(&self) -> Result<bool, launch::Error> {
        let has_killed = |memory: &MemoryWatch<'_>| {
            let kills = memory.cgroup.oom_kills();
            kills.is_ok_and(|kills| kills > memory.kills_before)
        };
        Ok(self.memory.as_ref().is_some_and(has_killed))
    }
}
