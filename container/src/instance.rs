use std::time::Duration;

use host::{InstanceDir, Placement, cgroup};
use launch::{
    Endpoint, ExitStatus, Footprint, Instance, InstanceId, MonotonicNs, Running, Timeline,
    WindowSize,
};
use nix::sys::signal::Signal;

use crate::command::RunningCommand;
use crate::network::Connected;
use crate::report::Moment;

/// A container that was launched.
pub(crate) struct Container {
    // Dropped from top to bottom: what runs, then what connected it and the cgroup that held it, then
    // the files.
    pub(crate) command: RunningCommand,
    pub(crate) network: Connected,
    pub(crate) placement: Placement,
    pub(crate) dir: InstanceDir,
    /// When `launch` was entered.
    pub(crate) start: MonotonicNs,
    /// When the cgroup and the directory were there.
    pub(crate) cgroup_made: MonotonicNs,
    /// When the network was there, if the launcher makes it.
    pub(crate) network_made: Option<MonotonicNs>,
}

impl Running for Container {
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

    fn out_of_memory(&self) -> Result<bool, launch::Error> {
        match self.placement.oom_kills() {
            Ok(kills) => Ok(kills > 0),
            // In its parent's, those of others would be counted.
            Err(cgroup::Error::Inherited(_) | cgroup::Error::Unmeasured) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Instance for Container {
    fn id(&self) -> &InstanceId {
        self.dir.id()
    }

    fn wait_main(&self) -> Result<bool, launch::Error> {
        // `launch` waited for it.
        Ok(self.command.process.stamped(Moment::Main).is_some())
    }

    fn pid(&self) -> Result<i32, launch::Error> {
        Ok(self.command.process.pid().as_raw())
    }

    fn endpoint(&self) -> Option<Endpoint> {
        self.network.endpoint()
    }

    fn timeline(&self) -> Timeline {
        let mut timeline = Timeline::starting(self.start);
        timeline.mark("cgroup", self.cgroup_made);
        if let Some(at) = self.network_made {
            timeline.mark(Moment::Networked.span(), at);
        }
        for moment in Moment::ALL {
            match self.command.process.stamped(moment) {
                Some(at) if moment == Moment::Main => timeline.mark_main(moment.span(), at),
                Some(at) => timeline.mark(moment.span(), at),
                None => {}
            }
        }
        if let Some(end) = self.command.process.end() {
            timeline.mark("run", end.at);
        }
        timeline
    }

    fn footprint(&self) -> Result<Footprint, launch::Error> {
        Ok(self.placement.footprint()?)
    }

    fn cpu_ns(&self) -> Result<Option<u64>, launch::Error> {
        Ok(self.placement.cpu_ns()?)
    }
}
