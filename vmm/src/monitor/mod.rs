//! The monitor: a process of its own that runs one machine.
//!
//! The launcher starts its own executable again under the name [`ARGV0`], with one end of a
//! socket pair as standard input. [`Assignment`] and the descriptors come over it, and typed
//! [messages](message) go back and forth. When the launcher goes away, so does the monitor.
//!
//! Threads, each blocking on one thing only:
//!
//! | thread | does |
//! |---|---|
//! | main | decides: takes each [`Event`] from a channel |
//! | vcpu, vcpu1, ... | run the guest, a processor each |
//! | devices | serves all devices but the next two, on an event manager |
//! | shares | serves the host's files, if there are any, so that a slow disk of the host's holds up no other device |
//! | disks | the same, of the host's block devices |
//! | watch | waits for the launcher's signals and end, and for others' requests |
//! | control | talks to the guest's PID 1 |
//! | stdin, stdout, stderr | copy bytes between the guest's streams and the launcher's |
//!
//! [Further commands](exec) have threads of their own.
//!
//! So neither a slow reader of the output nor a guest that stops listening holds up anything
//! else.

mod assignment;
mod channel;
mod control;
mod dispatch;
mod event;
mod exec;
mod gate;
mod instance;
mod launcher_watch;
mod message;
mod own_system;
mod pump;
mod requests;
mod saving;
mod serve;
mod session;
mod streams;
mod template;
mod threads;
mod vcpu_thread;

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process;
use std::sync::Arc;

use nix::sys::signal::{SigHandler, Signal, signal};

use crate::jail;

pub(crate) use assignment::{
    Assignment, AssignmentError, BootFile, BootFrom, DiskFile, Job, NetworkLink, Origin, Run,
    SharedFile, SnapshotFiles, Work,
};
pub(crate) use channel::{Channel, ChannelError, MAX_DESCRIPTORS, Received};
pub(crate) use control::{entropy, incarnation_now};
pub(crate) use exec::{ExecNews, ExecWord};
pub(crate) use message::{Phase, Reason, ToLauncher, ToMonitor};
pub(crate) use requests::{Reply, Request, SOCKET};
pub(crate) use session::is_verbose;

/// The monitor's name: `argv[0]`, and what `ps` shows.
pub(crate) const ARGV0: &str = "jaula-monitor";

/// Whether this process was started to be a monitor. A binary that launches machines asks this
/// first thing in its `main`, and calls [`monitor_main`] if so.
pub fn is_monitor() -> bool {
    std::env::args_os().next().is_some_and(|name| name == ARGV0)
}

/// Runs the monitor and ends the process. What went wrong is told to the launcher; a tracing
/// subscriber that was installed before gets the rest.
pub fn monitor_main() -> ! {
    // SAFETY: the launcher made descriptor 0 our end of its socket pair, and nothing in this
    // process has used it: `main` comes here first.
    let socket = unsafe { OwnedFd::from_raw_fd(libc::STDIN_FILENO) };
    if let Err(error) = close_inherited() {
        tracing::debug!("what the launcher's starter had open stays open: {error}");
    }
    let channel = Arc::new(Channel::new(socket));
    name_process();
    jail::settle_heaps();
    if let Err(error) = std::env::set_current_dir("/") {
        tracing::debug!("the monitor keeps the launcher's directory: {error}");
    }
    if let Err(error) = leave_terminal_signals() {
        tracing::debug!("signals of the terminal reach the monitor: {error}");
    }
    if let Err(error) = take_file_limit_as_error() {
        tracing::debug!("a limit on the size of files may end the monitor: {error}");
    }
    let code = match dispatch::run(&channel) {
        Ok(()) => 0,
        Err(error) => {
            let failed = ToLauncher::Failed(Reason::new(&error, error.remedy()));
            // If it is gone too, there is nobody to be told.
            let _ = channel.send(&failed);
            1
        }
    };
    // The other threads are in the middle of things that nobody needs any more; the kernel takes
    // the machine down.
    process::exit(code)
}

/// Closes what the launcher was started with, and has left open. What is the monitor's comes later.
fn close_inherited() -> io::Result<()> {
    let first = libc::STDERR_FILENO + 1;
    // SAFETY: numbers only. Nobody in this process has opened anything yet.
    match unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `ps` would show the name of the link that was executed, "exe".
fn name_process() {
    // SAFETY: PR_SET_NAME reads a C string, and this is one.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"jaula-monitor".as_ptr()) };
}

/// A file that would be larger than the user's limit (`RLIMIT_FSIZE`, setrlimit(2)) is an error of
/// whoever writes it, and not the end of the machine.
fn take_file_limit_as_error() -> nix::Result<()> {
    // SAFETY: no handler of ours is installed.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.map(drop)
}

/// Ctrl-C, Ctrl-\ and a hangup reach all of the terminal's foreground group. What they mean for
/// the instance is the launcher's to decide. (In a group of its own, the monitor could not read
/// from the terminal.)
fn leave_terminal_signals() -> nix::Result<()> {
    for number in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP] {
        // SAFETY: no handler of ours is installed.
        unsafe { signal(number, SigHandler::SigIgn) }?;
    }
    Ok(())
}
