use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use launch::MonotonicNs;
use nix::errno::Errno;
use nix::unistd::Pid;
use syscalls::x86_64::Sysno;

use crate::arguments::arguments;
use crate::call::Call;
use crate::ptrace::{self, Side, unless_gone};
use crate::stop::Stop;

/// How many calls are kept: a command that makes more is not watched for what it does at its
/// start.
const MOST_CALLS: usize = 100_000;

/// What can't be watched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel does not allow it.
    #[error("process {pid} can't be watched")]
    Seize {
        /// Which.
        pid: Pid,
        /// Why not.
        source: io::Error,
    },
    /// It was watched, and no longer can be.
    #[error("watching the system calls failed")]
    Watch(#[from] io::Error),
}

impl Error {
    /// What the user can do about it, where that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Seize { .. } => Some(
                "another program may watch it already, or the system forbid it: \
                 see /proc/sys/kernel/yama/ptrace_scope",
            ),
            Self::Watch(_) => None,
        }
    }
}

/// Watches `pid`, a child of this process that waits for `start`, and all that it starts, until
/// they have ended. A program that is executed in another root than ours is no longer watched:
/// that is the command in its container. The calls are in the order in which they were entered.
///
/// This process must have no other children.
///
/// # Errors
///
/// When it can't be watched.
pub fn watch(pid: Pid, start: impl FnOnce() -> io::Result<()>) -> Result<Vec<Call>, Error> {
    ptrace::seize(pid).map_err(|errno| Error::Seize {
        pid,
        source: errno.into(),
    })?;
    let mut watched = Watched {
        root: root_of("self")?,
        open: HashMap::new(),
        calls: Vec::new(),
    };
    let mut start = Some(start);
    while let Some(stop) = Stop::next()? {
        watched.handle(stop)?;
        // After its first stop its calls are watched.
        if let Some(start) = start.take() {
            start()?;
        }
    }
    watched.calls.sort_by_key(|call| call.entered);
    Ok(fold(watched.calls))
}

struct Watched {
    root: (u64, u64),
    /// The calls that have not returned, by task.
    open: HashMap<Pid, Call>,
    calls: Vec<Call>,
}

impl Watched {
    fn handle(&mut self, stop: Stop) -> io::Result<()> {
        let go_on = |pid, signal| unless_gone(ptrace::go_on(pid, signal));
        match stop {
            Stop::Call(pid) => {
                match ptrace::side(pid) {
                    Ok(side) => self.note(pid, side),
                    Err(Errno::ESRCH) => {}
                    Err(errno) => return Err(errno.into()),
                }
                go_on(pid, 0)
            }
            Stop::Exec(pid) if self.is_elsewhere(pid) => {
                self.close(pid, Some(0));
                unless_gone(ptrace::let_go(pid))
            }
            Stop::Exec(pid) | Stop::Task(pid) => go_on(pid, 0),
            Stop::Group(pid) => unless_gone(ptrace::leave_stopped(pid)),
            Stop::Signal(pid, signal) => go_on(pid, signal),
            Stop::Ended(pid) => {
                self.close(pid, None);
                Ok(())
            }
        }
    }

    fn note(&mut self, pid: Pid, side: Side) {
        match side {
            Side::Entry {
                number,
                arguments: raw,
            } => {
                let name = usize::try_from(number)
                    .ok()
                    .and_then(Sysno::new)
                    .map_or("?", |call| call.name());
                let call = Call {
                    task: pid.as_raw(),
                    name,
                    arguments: arguments(pid, name, raw),
                    result: None,
                    // After its arguments were read: that is no time of the call's.
                    entered: MonotonicNs::now(),
                    duration_ns: 0,
                    times: 1,
                };
                self.open.insert(pid, call);
            }
            Side::Exit { result } => self.close(pid, Some(result)),
            Side::Other => {}
        }
    }

    fn close(&mut self, pid: Pid, result: Option<i64>) {
        let Some(mut call) = self.open.remove(&pid) else {
            return;
        };
        call.duration_ns = MonotonicNs::now().since(call.entered);
        call.result = result.map(|value| match i32::try_from(value) {
            Ok(value @ -4095..=-1) => Err(Errno::from_raw(-value)),
            _ => Ok(value),
        });
        if self.calls.len() < MOST_CALLS {
            self.calls.push(call);
        }
    }

    fn is_elsewhere(&self, pid: Pid) -> bool {
        // One that is gone is nowhere.
        root_of(&pid.to_string()).is_ok_and(|root| root != self.root)
    }
}

/// Device and number of the directory that is a process's root.
fn root_of(process: &str) -> io::Result<(u64, u64)> {
    let root = fs::metadata(format!("/proc/{process}/root/."))?;
    Ok((root.dev(), root.ino()))
}

fn fold(calls: Vec<Call>) -> Vec<Call> {
    let mut folded: Vec<Call> = Vec::new();
    for call in calls {
        if !folded.last_mut().is_some_and(|last| last.absorb(&call)) {
            folded.push(call);
        }
    }
    folded
}
