use std::convert::Infallible;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use entry::{Failure, Joining, JoiningSpec, Privileges, Step};
use guest_protocol::{Execute, Ports, Task, Users};
use launch::{GuestMemory, Stdio};
use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mknodat, open};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use crate::cgroup::Cgroup;
use crate::child::Child;
use crate::command::{Command, Started, started};
use crate::connections::{self, Streams};
use crate::ends::TheirEnds;
use crate::fatal::Fatal;
use crate::memory;
use crate::out_of_memory::MemoryWatch;
use crate::session::Means;
use crate::users;

/// Where further commands run: in the cgroup, the namespaces and the root of the first one, with
/// its limits and rights.
pub(crate) struct Place<'a> {
    task: &'a Task,
    cgroup: &'a Cgroup,
    /// A pidfd.
    first: OwnedFd,
    /// Its root; none if it had ended before we came to look.
    root: Option<OwnedFd>,
}

/// All but the pid namespace, which a process is made in.
const NAMESPACES: ThreadNameSpaceType = ThreadNameSpaceType::MOUNT
    .union(ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME)
    .union(ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION)
    .union(ThreadNameSpaceType::CONTROL_GROUP);

impl<'a> Place<'a> {
    /// That of the command of `task`, which runs. Its root stays mounted until this is dropped.
    pub(crate) fn of(task: &'a Task, cgroup: &'a Cgroup, first: &Command) -> Result<Self, Fatal> {
        Ok(Self {
            task,
            cgroup,
            first: first
                .ended()
                .try_clone_to_owned()
                .map_err(Fatal::when("watching the command"))?,
            root: root_of(first.pid()).map_err(Fatal::when("looking for the command's root"))?,
        })
    }
}

fn root_of(first: Pid) -> Result<Option<OwnedFd>, Errno> {
    let path = format!("/proc/{}/root", first.as_raw_nonzero());
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match open(path, flags, Mode::empty()) {
        Ok(root) => Ok(Some(root)),
        // What has ended has no root, though it was not waited for.
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

impl Means for Place<'_> {
    fn connect_control(&self, ports: Ports) -> Result<File, Errno> {
        connections::connect_control(ports)
    }

    fn connect_streams(&self, ports: Ports) -> Result<Streams, Errno> {
        Streams::connect(ports)
    }

    /// Not from the command's root, where anything may be called `/dev/null`.
    fn null_streams(&self) -> Result<Stdio, Fatal> {
        let opened = || {
            // Device 1:3 (`Documentation/admin-guide/devices.txt`).
            let mode = Mode::RUSR | Mode::WUSR;
            match mknodat(CWD, "/null", FileType::CharacterDevice, mode, makedev(1, 3)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            let null = |flags| open("/null", flags | OFlags::CLOEXEC, Mode::empty());
            Ok(Stdio {
                stdin: null(OFlags::RDONLY)?,
                stdout: null(OFlags::WRONLY)?,
                stderr: null(OFlags::WRONLY)?,
            })
        };
        opened().map_err(Fatal::when("opening /null"))
    }

    fn watch_memory(&self) -> Result<MemoryWatch, Errno> {
        MemoryWatch::begin()
    }

    fn users(&self) -> Result<Users, Errno> {
        users::in_root(self.root.as_ref().ok_or(Errno::SRCH)?)
    }

    fn memory(&self) -> Result<GuestMemory, Errno> {
        memory::now()
    }

    fn start(&self, execute: &Execute, ends: TheirEnds) -> Result<Started, Fatal> {
        let failed = Fatal::when::<std::io::Error>;
        let entrance = self
            .cgroup
            .entrance()
            .map_err(failed("opening the cgroup"))?;
        let first = self
            .first
            .try_clone()
            .map_err(failed("watching the command"))?;
        let joining = Joining::new(&JoiningSpec {
            command: &execute.command,
            ulimits: &self.task.ulimits,
            security: &self.task.security,
            filter: None,
            privileges: Privileges::Root,
        });
        let terminal = execute.streams.terminal();
        // That of our next children, not ours; and none of those is made for anything else.
        move_into_thread_name_spaces(self.first.as_fd(), ThreadNameSpaceType::PROCESS_ID)
            .map_err(Fatal::when("entering the command's pid namespace"))?;
        let errand = move || -> Result<Infallible, Failure> {
            entrance.enter()?;
            // With its mounts comes its root.
            move_into_thread_name_spaces(first.as_fd(), NAMESPACES).map_err(|errno| Failure {
                step: Step::Namespaces,
                errno: errno.raw_os_error(),
            })?;
            Err(joining.run(&ends.ties(terminal), || {}))
        };
        let child = Child::make(0, move |_| match errand() {
            Ok(never) => match never {},
            Err(failure) => failure,
        })?;
        started(child, ())
    }
}
