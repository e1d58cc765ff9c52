//! A container that another process has launched, and further commands in it.

mod further;
mod namespaces;

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;

use entry::{Ids, Joining, JoiningSpec, Privileges};
use host::cgroup::CgroupView;
use host::instances::HostProcess;
use launch::{ExitStatus, Further, Running, Security, Stdio, Ulimit};
use nix::sched::CloneFlags;

use crate::capabilities;
use crate::command::RunningCommand;
use crate::errand::Errand;
use crate::error::Error;
use crate::namespaces::privileges;
use crate::process::Process;
use crate::seccomp;
use crate::terminal::Hatch;

use further::{FurtherCommand, MemoryWatch};

/// A container as it is on record.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its command's process.
    pub process: HostProcess,
    /// What it may do.
    pub security: &'a Security,
    /// Limits of its processes.
    pub ulimits: &'a [Ulimit],
}

/// A container that runs.
pub struct RunningContainer<'a> {
    target: Target<'a>,
    cgroup: Option<CgroupView>,
    process: OwnedFd,
    /// Those in which this process is not.
    namespaces: CloneFlags,
    privileges: Privileges,
}

impl<'a> RunningContainer<'a> {
    /// Looks at one that is in `cgroup`; `None` if it has ended.
    ///
    /// # Errors
    ///
    /// When it can't be looked at, or the process is in no container.
    pub fn find(target: Target<'a>, cgroup: Option<CgroupView>) -> Result<Option<Self>, Error> {
        let pid = target.process.pid;
        let Some(process) = target.process.open().map_err(Error::Reach)? else {
            return Ok(None);
        };
        let looked = namespaces::other_than_ours(pid)
            .and_then(|namespaces| Ok((namespaces, privileges_in(pid, namespaces)?)));
        // Whatever was seen is another's if the process has ended meanwhile.
        if target.process.open().map_err(Error::Reach)?.is_none() {
            return Ok(None);
        }
        let (namespaces, privileges) = looked.map_err(Error::Reach)?;
        if !namespaces.contains(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID) {
            return Err(Error::NoContainer(pid));
        }
        Ok(Some(Self {
            target,
            cgroup,
            process,
            namespaces,
            privileges,
        }))
    }

    /// Its root directory, to name files in: whose they are is up to the container, and what they
    /// are. `None` if it has ended.
    ///
    /// # Errors
    ///
    /// When it can't be opened.
    pub fn root(&self) -> Result<Option<OwnedFd>, Error> {
        let opened = File::options()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
            .open(format!("/proc/{}/root", self.target.process.pid));
        if self.target.process.open().map_err(Error::Reach)?.is_none() {
            return Ok(None);
        }
        Ok(Some(opened.map_err(Error::Reach)?.into()))
    }

    /// Runs a command in it, which is killed with the calling thread. To be called by a process
    /// that [`crate::protect_own_program`] was called in, while it has one thread.
    ///
    /// # Errors
    ///
    /// When it can't be started. A command that can't be executed is none.
    pub fn execute(
        &self,
        further: &Further,
        stdio: Stdio,
    ) -> Result<Box<dyn Running + '_>, launch::Error> {
        let hatch = further.terminal.map(Hatch::new).transpose()?;
        let memory = self.cgroup.as_ref().and_then(MemoryWatch::begin);
        let process = self.start(further, &stdio, hatch.as_ref(), true)?;
        let command = RunningCommand::connect(process, hatch, stdio)?;
        Ok(Box::new(FurtherCommand { command, memory }))
    }

    /// The same, with nothing to read and nobody who listens; it goes on when the caller ends. Has
    /// how it ended instead if it could not be executed. It has no terminal, whatever is asked for.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn leave_running(&self, further: &Further) -> Result<Option<ExitStatus>, launch::Error> {
        let process = self.start(further, &Stdio::null()?, None, false)?;
        let refused = process.refused();
        if refused.is_none() {
            process.leave();
        }
        Ok(refused)
    }

    fn start(
        &self,
        further: &Further,
        stdio: &Stdio,
        hatch: Option<&Hatch>,
        die_with_parent: bool,
    ) -> Result<Process, Error> {
        let Target {
            security, ulimits, ..
        } = self.target;
        let security = Security {
            capabilities: self.capabilities()?,
            ..security.clone()
        };
        let filter = seccomp::filter(&security.seccomp, security.capabilities)?;
        let entrance = match &self.cgroup {
            None => None,
            Some(cgroup) => {
                cgroup.check_joinable()?;
                Some(cgroup.entrance()?)
            }
        };
        Process::join(&Errand {
            process: &self.process,
            namespaces: self.namespaces,
            entrance,
            joining: Joining::new(&JoiningSpec {
                command: &further.command,
                ulimits,
                security: &security,
                filter: filter.as_ref(),
                privileges: self.privileges,
            }),
            stdio,
            hatch,
            die_with_parent,
        })
    }

    /// As its own command has them.
    fn capabilities(&self) -> Result<launch::CapabilitySet, Error> {
        let wanted = self.target.security.capabilities;
        // Whoever enters a user namespace has all of them there.
        match self.namespaces.contains(CloneFlags::CLONE_NEWUSER) {
            true => Ok(wanted),
            false => capabilities::given(wanted, self.privileges),
        }
    }
}

/// What this process may do once it is in these namespaces of the process `pid`.
fn privileges_in(pid: i32, namespaces: CloneFlags) -> std::io::Result<Privileges> {
    if !namespaces.contains(CloneFlags::CLONE_NEWUSER) {
        return Ok(privileges());
    }
    let setgroups = fs::read_to_string(format!("/proc/{pid}/setgroups"))?;
    Ok(Privileges::UserNamespace(match setgroups.trim() {
        "allow" => Ids::Many,
        _ => Ids::One,
    }))
}
