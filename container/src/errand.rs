use std::convert::Infallible;
use std::os::fd::{BorrowedFd, OwnedFd};

use entry::{Failure, Joining, Lifeline, Step, Ties};
use host::cgroup::Entrance;
use launch::Stdio;
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};

use crate::cgroup;
use crate::clone::clone_sibling;
use crate::namespaces::failure;
use crate::report::{Moment, Report};
use crate::terminal::Hatch;

/// What a child process is to do to have a command run in a container.
///
/// It takes two processes. Only a child of the one that enters the pid namespace is in it; it is
/// made a child of who sent the first one, which then ends.
pub(crate) struct Errand<'a> {
    /// A process of the container.
    pub(crate) process: &'a OwnedFd,
    /// Those to be entered.
    pub(crate) namespaces: CloneFlags,
    /// The way into its cgroup, if it has one.
    pub(crate) entrance: Option<Entrance>,
    pub(crate) joining: Joining,
    pub(crate) stdio: &'a Stdio,
    /// Where the command's terminal is handed out, if it has one.
    pub(crate) hatch: Option<&'a Hatch>,
    /// Whether the command is killed with the thread that sent the child.
    pub(crate) die_with_parent: bool,
}

impl Errand<'_> {
    /// Does it: returns in the first process when the second one is made, and in the second only
    /// if that fails. Makes system calls and nothing else.
    pub(crate) fn run(&self, lifeline: BorrowedFd<'_>, report: &Report) -> Result<(), Failure> {
        // Nobody in the container may trace either process, or look at what it has, before it is
        // the command: `execve` undoes this.
        set_not_dumpable().map_err(|errno| failure(Step::Process, errno))?;
        if let Some(entrance) = &self.entrance {
            cgroup::enter(entrance)?;
        }
        setns(self.process, self.namespaces).map_err(|errno| failure(Step::Namespaces, errno))?;
        let ties = Joining::let_go(&Ties {
            streams: self.stdio.as_fds(),
            terminal: self.hatch.map(Hatch::terminal),
            lifeline: Some(Lifeline {
                pipe: lifeline,
                die_with_parent: self.die_with_parent,
            }),
        })?;
        // SAFETY: this process and the new one make system calls only until they end or execute
        // the command.
        let is_made = unsafe { clone_sibling(report) };
        match is_made.map_err(|errno| failure(Step::Process, errno))? {
            true => Ok(()),
            false => self
                .become_command(&ties, report)
                .map(|never| match never {}),
        }
    }

    fn become_command(&self, ties: &Ties<'_>, report: &Report) -> Result<Infallible, Failure> {
        Err(self.joining.run(ties, || report.stamp(Moment::Main)))
    }
}

fn set_not_dumpable() -> Result<(), Errno> {
    // SAFETY: numbers only.
    let set = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
    Errno::result(set).map(drop)
}
