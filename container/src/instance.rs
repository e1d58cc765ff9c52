use std::time::Duration;

use host::{InstanceDir, Placement, cgroup};
use launch::{
    Endpoint, ExitStatus, Footprint, Instance, InstanceId, MonotonicNs, Running, Timeline,
    WindowSize,
};
use nix::sys::signal::Signal;

use crate::network::Connected;
use crate::process::Process;
use crate::report::Moment;
use crate::terminal::Terminal;

/// A container that was launched.
pub(crate) struct Container {
    // Dropped from top to bottom: what runs, then what connected it and the cgroup that held it, then
    // the files.
    pub(crate) process: Process,
    /// What its command has in place of three streams, if it has one.
    pub(crate) terminal: Option<Terminal>,
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
        Ok(self.process.signal(signal)?)
    }

    fn resize(&self, size: WindowSize) -> Result<(), launch::Error> {
        match &self.terminal {
            Some(terminal) => Ok(terminal.resize(size)?),
            None => Ok(()),
        }
    }

    fn wait_executed(&self) -> Result<Option<ExitStatus>, launch::Error> {
        // `launch` waited for it.
        Ok(self.process.refused())
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<Option<ExitStatus>, launch::Error> {
        let end = self.process.wait(timeout)?;
        if end.is_some()
            && let Some(terminal) = &self.terminal
        {
            terminal.finish();
        }
        Ok(end.map(|end| end.status))
    }
}

impl Instance for Container {
    fn id(&self) -> &InstanceId {
        self.dir.id()
    }

    fn wait_main(&self) -> Result<bool, launch::Error> {
        // `launch` waited for it.
        Ok(self.process.stamped(Moment::Main).is_some())
    }

    fn pid(&self) -> Result<i32, launch::Error> {
        Ok(self.process.pid()?)
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
            match self.process.stamped(moment) {
                Some(at) if moment == Moment::Main => timeline.mark_main(moment.span(), at),
                Some(at) => timeline.mark(moment.span(), at),
                None => {}
            }
        }
        if let Some(end) = self.process.end() {
            timeline.mark("run", end.at);
        }
        timeline
    }

    fn footprint(&self) -> Result<Footprint, launch::Error> {
        Ok(self.placement.footprint()?)
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
