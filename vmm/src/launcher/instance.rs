use std::time::Duration;

use host::{InstanceDir, Placement};
use launch::{
    Endpoint, ExitStatus, Footprint, GuestMemory, Instance, InstanceId, MonotonicNs, Running,
    Timeline, WindowSize,
};
use nix::sys::signal::Signal;

use super::guest_memory::ask_memory;
use super::network::Connected;
use super::process::MonitorProcess;
use crate::monitor::Phase;

/// A machine that was launched.
pub(super) struct VmInstance {
    // Dropped from top to bottom: what runs, then what connected it and the cgroup that held it,
    // then the files.
    pub(super) monitor: MonitorProcess,
    pub(super) network: Option<Connected>,
    pub(super) placement: Placement,
    pub(super) dir: InstanceDir,
    /// When `launch` was entered.
    pub(super) start: MonotonicNs,
    /// When the cgroup and the directory were there.
    pub(super) cgroup_made: MonotonicNs,
    /// When the network was there, if there is one.
    pub(super) network_made: Option<MonotonicNs>,
}

impl Running for VmInstance {
    fn signal(&self, signal: Signal) -> Result<(), launch::Error> {
        Ok(self.monitor.signal(signal)?)
    }

    fn resize(&self, size: WindowSize) -> Result<(), launch::Error> {
        Ok(self.monitor.resize(size)?)
    }

    fn wait_executed(&self) -> Result<Option<ExitStatus>, launch::Error> {
        Ok(self.monitor.wait_executed()?)
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<Option<ExitStatus>, launch::Error> {
        Ok(self.monitor.wait(timeout)?)
    }

    fn out_of_memory(&self) -> Result<bool, launch::Error> {
        Ok(self.monitor.out_of_memory()?)
    }
}

impl Instance for VmInstance {
    fn id(&self) -> &InstanceId {
        self.dir.id()
    }

    fn wait_main(&self) -> Result<bool, launch::Error> {
        Ok(self.monitor.wait_main()?)
    }

    fn pid(&self) -> Result<i32, launch::Error> {
        Ok(self.monitor.pid()?)
    }

    fn endpoint(&self) -> Option<Endpoint> {
        self.network.as_ref().map(Connected::endpoint)
    }

    fn timeline(&self) -> Timeline {
        let mut timeline = Timeline::starting(self.start);
        timeline.mark("cgroup", self.cgroup_made);
        if let Some(at) = self.network_made {
            timeline.mark("network", at);
        }
        let moments = match self.monitor.moments() {
            Ok(moments) => moments,
            Err(error) => {
                tracing::warn!("the monitor's moments are not known: {error}");
                return timeline;
            }
        };
        for (phase, at) in moments.reached {
            match phase {
                Phase::Exec => timeline.mark_main(phase.span(), at),
                // A part of the run.
                Phase::Executed => {}
                _ => timeline.mark(phase.span(), at),
            }
        }
        if let Some(ended) = moments.ended {
            timeline.mark("run", ended);
        }
        if let Some(gone) = moments.gone {
            timeline.mark("teardown", gone);
        }
        timeline
    }

    fn footprint(&self) -> Result<Footprint, launch::Error> {
        Ok(self.placement.footprint()?)
    }

    fn guest_memory(&self) -> Result<Option<GuestMemory>, launch::Error> {
        Ok(Some(ask_memory(&self.dir)?))
    }

    fn cpu_ns(&self) -> Result<Option<u64>, launch::Error> {
        Ok(self.placement.cpu_ns()?)
    }
}
