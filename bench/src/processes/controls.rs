use launch::{Ulimit, Workload};
use nix::errno::Errno;
use nix::libc;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::Error;

/// What a process can be held to without a cgroup.
#[derive(Clone, Default)]
pub(super) struct Controls {
    cpus: Option<CpuSet>,
    ulimits: Vec<Ulimit>,
}

impl Controls {
    /// Those of this workload.
    ///
    /// # Errors
    ///
    /// When it is to run on a CPU of a higher number than a set of the C library's can have.
    pub(super) fn of(workload: &Workload) -> Result<Self, Error> {
        let set_of = |cpus: &launch::CpuSet| {
            let mut set = CpuSet::new();
            (cpus.cpus().iter())
                .try_for_each(|cpu| set.set(*cpu as usize))
                .map_err(|_| Error::Unsupported("a CPU of so high a number"))?;
            Ok(set)
        };
        let cpus = workload.resources.cpuset.as_ref().map(set_of);
        Ok(Self {
            cpus: cpus.transpose()?,
            ulimits: workload.ulimits.clone(),
        })
    }

    /// Holds the calling process to them, and what it will start. It makes system calls only, and is to
    /// be called while root, who may raise limits.
    pub(super) fn apply(&self) -> Result<(), Errno> {
        if let Some(cpus) = &self.cpus {
            sched_setaffinity(Pid::from_raw(0), cpus)?;
        }
        for limit in &self.ulimits {
            let limits = libc::rlimit {
                rlim_cur: limit.soft,
                rlim_max: limit.hard,
            };
            // SAFETY: setrlimit(2) reads one rlimit, which lives through the call.
            Errno::result(unsafe { libc::setrlimit(limit.resource, &raw const limits) })?;
        }
        Ok(())
    }
}
