use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use entry::{DeviceNode, Entry, Failure, Privileges, Spec, Stage, Sysfs};
use guest_protocol::{Mark, Task};
use launch::{ExitStatus, Mount, MountSource, WindowSize};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitOptions, WaitStatus, pidfd_open, waitpid};

use crate::cgroup::Entrance;
use crate::child::{self, Child, Outcome};
use crate::doorbell::Doorbell;
use crate::ends::TheirEnds;
use crate::fatal::Fatal;
use crate::root;

/// The process that was started, until it has been waited for.
pub(crate) struct Command {
    pid: Pid,
    pidfd: OwnedFd,
}

/// What came of the start.
pub(crate) enum Started {
    /// The command was executed.
    Running(Command),
    /// It was not, and the process is gone.
    Failed(Failure),
}

/// What the process is told that becomes the command.
struct Orders {
    entry: Entry,
    ends: TheirEnds,
    terminal: Option<WindowSize>,
    has_shares: bool,
}

/// A process in namespaces of its own that has done all that it can without knowing the command.
pub(crate) struct Prepared(Child<Orders>);

impl Prepared {
    /// Makes it.
    pub(crate) fn make(cgroup: Entrance, doorbell: Doorbell) -> Result<Self, Fatal> {
        let stage = Stage::new(root::stage(), Privileges::Root, Sysfs::New)?;
        let namespaces =
            libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;
        let ring = move |mark| match mark {
            entry::Mark::Root => doorbell.ring(Mark::Root),
            entry::Mark::Main => doorbell.ring(Mark::Main),
        };
        let errand = move |orders: child::Orders<'_, Orders>| -> Result<Infallible, Failure> {
            cgroup.enter_as_root()?;
            entry::bring_loopback_up()?;
            let scenery = stage.set()?;
            let Orders {
                entry,
                ends,
                terminal,
                has_shares,
            } = orders.wait();
            if *has_shares {
                root::mount_shares()?;
            }
            entry.open_outside()?;
            root::mount_image()?;
            Err(entry.run(scenery, &ends.ties(*terminal), ring))
        };
        Child::make(namespaces, move |orders| match errand(orders) {
            Ok(never) => match never {},
            Err(failure) => failure,
        })
        .map(Self)
    }

    /// Has it become the command. When this returns the command was executed, or that failed; our
    /// copies of its ends are closed.
    pub(crate) fn start(
        self,
        task: &Task,
        devices: &[DeviceNode],
        ends: TheirEnds,
    ) -> Result<Started, Fatal> {
        let entry = Entry::new(&Spec {
            lower: &root::image(),
            upper: root::upper(),
            work: root::work(),
            read_only: task.read_only,
            hostname: &task.hostname,
            files: &task.files,
            mounts: &task.mounts,
            devices,
            command: &task.command,
            init: task.init.then(root::init),
            ulimits: &task.ulimits,
            security: &task.security,
            // What it calls is a kernel of its own.
            filter: None,
            privileges: Privileges::Root,
        })?;
        // All that is bound is in shares.
        let is_bound = |mount: &Mount| matches!(mount.source, MountSource::Bind(_));
        let orders = Orders {
            entry,
            ends,
            terminal: task.terminal,
            has_shares: task.mounts.iter().any(is_bound),
        };
        started(self.0, orders)
    }
}

/// Tells a child what to become.
pub(crate) fn started<T>(child: Child<T>, orders: T) -> Result<Started, Fatal> {
    let pid = child.pid();
    match child.order(orders) {
        Outcome::Failed(failure) => {
            wait(pid)?;
            Ok(Started::Failed(failure))
        }
        Outcome::Executed => {
            let pidfd = pidfd_open(pid, PidfdFlags::empty())
                .map_err(Fatal::when("watching the command"))?;
            Ok(Started::Running(Command { pid, pidfd }))
        }
    }
}

impl Command {
    /// Readable when the command has ended, and everything that it started with it.
    pub(crate) fn ended(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Its number. It is its own as long as it was not waited for.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends it a signal. One that the kernel does not know, or that comes too late, is nothing.
    pub(crate) fn signal(&self, number: u8) {
        // SAFETY: kill(2) takes numbers only; the process was not waited for, so the PID is its.
        unsafe { libc::kill(self.pid.as_raw_nonzero().get(), number.into()) };
    }

    /// How it ended; waits for that.
    pub(crate) fn wait(&self) -> Result<ExitStatus, Fatal> {
        wait(self.pid).map(exit_status)
    }
}

fn wait(pid: Pid) -> Result<WaitStatus, Fatal> {
    loop {
        match waitpid(Some(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status),
            Ok(None) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Fatal::when("waiting for the command")(errno)),
        }
    }
}

/// wait(2) gives the low 8 bits of what was passed to exit, or one of 64 signals.
fn exit_status(status: WaitStatus) -> ExitStatus {
    match status.terminating_signal() {
        Some(signal) => ExitStatus::Signaled(signal as u8),
        None => ExitStatus::Exited(status.exit_status().unwrap_or_default() as u8),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::ffi::CStr;
    use std::os::fd::AsRawFd;

    use std::sync::atomic::{AtomicBool, Ordering};

    use entry::Step;
    use launch::Stdio;

    use super::*;

    /// A child that becomes what it is ordered to.
    fn spawn(become_command: impl Fn() -> Failure + 'static) -> Result<Started, Fatal> {
        let child = Child::make(0, |orders: child::Orders<'_, Box<dyn Fn() -> Failure>>| {
            orders.wait()()
        })?;
        started(child, Box::new(become_command))
    }

    /// A command that runs in place of an image's, with these streams.
    pub(crate) fn start_shell(script: &'static CStr, stdio: Stdio) -> Command {
        let executed = shell(script);
        let started = spawn(move || {
            for (number, fd) in (0..).zip([&stdio.stdin, &stdio.stdout, &stdio.stderr]) {
                // SAFETY: numbers only, and the child has descriptors of its own.
                unsafe { libc::dup2(fd.as_raw_fd(), number) };
            }
            executed()
        });
        let Started::Running(command) = started.unwrap() else {
            panic!("there is no shell");
        };
        command
    }

    /// Executes a shell.
    fn shell(script: &'static CStr) -> impl Fn() -> Failure + 'static {
        let argv = [
            c"/bin/sh".as_ptr(),
            c"-c".as_ptr(),
            script.as_ptr(),
            std::ptr::null(),
        ];
        move || {
            // SAFETY: sets no handler. Rust's runtime ignores the signal, which execve hands on.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
            // SAFETY: the arrays end with a null pointer, and all strings outlive the closure.
            unsafe { libc::execv(argv[0], argv.as_ptr()) };
            Failure {
                step: Step::Exec,
                errno: 0,
            }
        }
    }

    fn status_of(script: &'static CStr) -> ExitStatus {
        match spawn(shell(script)).unwrap() {
            Started::Running(command) => command.wait().unwrap(),
            Started::Failed(failure) => panic!("{failure}"),
        }
    }

    #[test]
    fn how_a_command_ended_is_told() {
        for (script, status) in [
            (c"exit 0", ExitStatus::Exited(0)),
            (c"exit 255", ExitStatus::Exited(255)),
            (c"kill -9 $$", ExitStatus::Signaled(9)),
            (c"kill -34 $$", ExitStatus::Signaled(34)),
        ] {
            assert_eq!(status_of(script), status, "{script:?}");
        }
    }

    #[test]
    fn a_step_that_failed_in_the_child_is_told() {
        let failure = Failure {
            step: Step::Hostname,
            errno: libc::EPERM,
        };
        let Started::Failed(told) = spawn(move || failure).unwrap() else {
            panic!("nothing was executed");
        };
        assert_eq!(told, failure);
    }

    #[test]
    fn a_step_that_failed_before_the_orders_is_told_when_they_are_given() {
        let failure = Failure {
            step: Step::Stage,
            errno: libc::ENOENT,
        };
        let child = Child::make(0, move |_: child::Orders<'_, ()>| failure).unwrap();
        let Started::Failed(told) = started(child, ()).unwrap() else {
            panic!("nothing was executed");
        };
        assert_eq!(told, failure);
    }

    #[test]
    fn a_child_has_done_what_it_does_before_its_orders_when_it_is_made() {
        static DONE: AtomicBool = AtomicBool::new(false);
        let failure = Failure {
            step: Step::Stage,
            errno: 0,
        };
        let child = Child::make(0, move |orders: child::Orders<'_, i32>| {
            DONE.store(true, Ordering::Relaxed);
            Failure {
                errno: *orders.wait(),
                ..failure
            }
        });
        assert!(DONE.load(Ordering::Relaxed));
        let Started::Failed(told) = started(child.unwrap(), 7).unwrap() else {
            panic!("nothing was executed");
        };
        assert_eq!(told.errno, 7);
    }

    #[test]
    fn a_signal_reaches_the_command() {
        let Started::Running(command) = spawn(shell(c"sleep 60")).unwrap() else {
            panic!("the shell is there");
        };
        command.signal(15);
        assert_eq!(command.wait().unwrap(), ExitStatus::Signaled(15));
    }
}
