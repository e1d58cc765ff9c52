use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use entry::{Entry, Failure, Privileges, Spec, Step};
use guest_protocol::{Mark, Task};
use launch::{Credentials, ExitStatus, Stdio};
use rustix::fs::{Uid, fchown};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, WaitOptions, WaitStatus, pidfd_open, waitpid};

use crate::doorbell::Doorbell;
use crate::fatal::Fatal;
use crate::pids_limit::Cgroup;
use crate::root;
use crate::stream::Stream;

/// Our ends of the pipes that are the command's standard streams.
pub(crate) struct Pipes {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Pipes {
    /// Pipes, and not the connections themselves: a command may open `/dev/stdout` again, which
    /// a socket refuses. They are `user`'s, who may not be root, for the same reason.
    pub(crate) fn open(user: &Credentials) -> Result<(Self, Stdio), Fatal> {
        let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(Fatal::when("making a pipe"));
        let (stdin_reader, stdin) = pipe()?;
        let (stdout, stdout_writer) = pipe()?;
        let (stderr, stderr_writer) = pipe()?;
        let theirs = Stdio {
            stdin: stdin_reader,
            stdout: stdout_writer,
            stderr: stderr_writer,
        };
        if user.uid != 0 {
            for pipe in [&theirs.stdin, &theirs.stdout, &theirs.stderr] {
                fchown(pipe, Some(Uid::from_raw(user.uid)), None)
                    .map_err(Fatal::when("changing the owner of a pipe"))?;
            }
        }
        Ok((
            Self {
                stdin,
                stdout,
                stderr,
            },
            theirs,
        ))
    }

    /// Joins each to its connection: input, output, error.
    pub(crate) fn joined_to<'a>(
        self,
        stdin: BorrowedFd<'a>,
        stdout: BorrowedFd<'a>,
        stderr: BorrowedFd<'a>,
    ) -> [Stream<'a>; 3] {
        [
            Stream::to_command(stdin, self.stdin),
            Stream::to_host(self.stdout, stdout),
            Stream::to_host(self.stderr, stderr),
        ]
    }
}

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

/// Starts the command in namespaces of its own. When this returns it was executed, or that
/// failed; our copies of its streams are closed.
pub(crate) fn start(
    task: &Task,
    stdio: Stdio,
    pids_limit: Option<&Cgroup>,
    doorbell: &Doorbell,
) -> Result<Started, Fatal> {
    let entry = Entry::new(&Spec {
        lower: root::image(),
        upper: root::upper(),
        work: root::work(),
        read_only: task.read_only,
        hostname: &task.hostname,
        command: &task.command,
        privileges: Privileges::Root,
    })?;
    let ring = |mark| match mark {
        entry::Mark::Root => doorbell.ring(Mark::Root),
        // Only a container has a network namespace to be timed.
        entry::Mark::Network => {}
        entry::Mark::Main => doorbell.ring(Mark::Main),
    };
    let namespaces =
        libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;
    spawn(namespaces, &|| match enter_cgroup(pids_limit) {
        Ok(()) => entry.run(&stdio, None, ring),
        Err(failure) => failure,
    })
}

/// Moves into the cgroup, if there is one, and makes it the root of a namespace: so what the
/// command reads in `/proc/self/cgroup` is the same with and without a limit.
fn enter_cgroup(cgroup: Option<&Cgroup>) -> Result<(), Failure> {
    let failed = |step| {
        move |errno: Errno| Failure {
            step,
            errno: errno.raw_os_error(),
        }
    };
    if let Some(cgroup) = cgroup {
        cgroup.enter().map_err(failed(Step::Cgroup))?;
    }
    // SAFETY: no descriptor and no memory is unshared, only the cgroup namespace.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWCGROUP) }
        .map_err(failed(Step::CgroupNamespace))
}

/// Bytes of stack for a child that does nothing but system calls.
const STACK_BYTES: usize = 32 << 10;

/// What a child needs, in the memory that it shares with us.
struct Child<'a> {
    become_command: &'a dyn Fn() -> Failure,
    failure: Cell<Option<Failure>>,
}

extern "C" fn child_main(child: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `spawn` passes a `Child` that lives until this process executed or ended.
    let child = unsafe { &*child.cast::<Child<'_>>() };
    child.failure.set(Some((child.become_command)()));
    0
}

/// Makes a child that becomes the command and returns only if it can't, as `posix_spawn` does
/// it: the child shares our memory and we stand still until it has called `execve` or ended. So
/// no page table is copied and no page written to is copied either, and the reason of a failure
/// needs no pipe.
fn spawn(namespaces: libc::c_int, become_command: &dyn Fn() -> Failure) -> Result<Started, Fatal> {
    let child = Child {
        become_command,
        failure: Cell::new(None),
    };
    let mut stack = Box::<[u128]>::new_uninit_slice(STACK_BYTES / size_of::<u128>());
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD | namespaces;
    // SAFETY: the stack is ours alone, grows down from its end, which is aligned to 16 bytes, and
    // outlives the child's use of it, as does `child`: with CLONE_VFORK clone(2) returns only
    // when the child no longer shares our memory. This process has one thread, so nothing here
    // runs meanwhile, and no lock is held by anybody; the child allocates nothing.
    let pid = unsafe {
        libc::clone(
            child_main,
            stack.as_mut_ptr_range().end.cast(),
            flags,
            (&raw const child).cast_mut().cast(),
        )
    };
    let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 0) else {
        let error = std::io::Error::last_os_error();
        return Err(Fatal::when("starting a process")(error));
    };
    if let Some(failure) = child.failure.get() {
        wait(pid)?;
        return Ok(Started::Failed(failure));
    }
    let pidfd =
        pidfd_open(pid, PidfdFlags::empty()).map_err(Fatal::when("watching the command"))?;
    Ok(Started::Running(Command { pid, pidfd }))
}

impl Command {
    /// Readable when the command has ended, and everything that it started with it.
    pub(crate) fn ended(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
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

    use super::*;

    /// A command that runs in place of an image's, with these streams.
    pub(crate) fn start_shell(script: &CStr, stdio: Stdio) -> Command {
        let executed = shell(script);
        let started = spawn(0, &|| {
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
    fn shell(script: &CStr) -> impl Fn() -> Failure {
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

    fn status_of(script: &CStr) -> ExitStatus {
        match spawn(0, &shell(script)).unwrap() {
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
        let Started::Failed(told) = spawn(0, &|| failure).unwrap() else {
            panic!("nothing was executed");
        };
        assert_eq!(told, failure);
    }

    #[test]
    fn a_signal_reaches_the_command() {
        let Started::Running(command) = spawn(0, &shell(c"sleep 60")).unwrap() else {
            panic!("the shell is there");
        };
        command.signal(15);
        assert_eq!(command.wait().unwrap(), ExitStatus::Signaled(15));
    }
}
