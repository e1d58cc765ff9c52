use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::unistd::Pid;

use crate::report::Report;

/// Resets signal handlers in the child, so that none of the parent's runs there. Of
/// `include/uapi/linux/sched.h`; libc's constant of this name has lost its only bit.
const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;
/// Makes the child a member of a version 2 cgroup, from its first instruction on; same file.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// Makes a child process in new namespaces, and in a cgroup: `None` in the child, its number and
/// pidfd in the parent.
///
/// # Safety
///
/// The child has a copy of this process's memory and one of its threads. Locks that the others
/// held are held for ever, so until it ends the child may make system calls only.
pub(crate) unsafe fn clone(
    namespaces: CloneFlags,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<Option<(Pid, OwnedFd)>, Errno> {
    let mut pidfd: RawFd = -1;
    // SAFETY: clone_args is plain numbers, for which all zero is valid.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = namespaces.bits() as u64 | libc::CLONE_PIDFD as u64 | CLONE_CLEAR_SIGHAND;
    args.pidfd = (&raw mut pidfd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `args` and `pidfd` live through the call, and the caller keeps the rest.
    match unsafe { clone3(&mut args) }? {
        0 => Ok(None),
        // SAFETY: the kernel has put a new descriptor there, which nothing else owns.
        pid => Ok(Some((Pid::from_raw(pid), unsafe {
            OwnedFd::from_raw_fd(pidfd)
        }))),
    }
}

/// Makes a process that is a child of this one's parent, whose number is told in `report` before
/// it runs; `false` in the new one.
///
/// # Safety
///
/// As above. Makes system calls and nothing else itself.
pub(crate) unsafe fn clone_sibling(report: &Report) -> Result<bool, Errno> {
    // SAFETY: clone_args is plain numbers, for which all zero is valid.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    // Who makes it could be killed before it had said which it is.
    args.flags = libc::CLONE_PARENT as u64 | libc::CLONE_PARENT_SETTID as u64 | CLONE_CLEAR_SIGHAND;
    args.parent_tid = report.sibling_slot() as u64;
    // SAFETY: `args` lives through the call, the slot as long as the report, and the caller keeps
    // the rest.
    unsafe { clone3(&mut args) }.map(|pid| pid != 0)
}

/// # Safety
///
/// As above; and what `args` points to can be written to.
unsafe fn clone3(args: &mut libc::clone_args) -> Result<libc::pid_t, Errno> {
    // SAFETY: the caller sees to what `args` points to. Without CLONE_VM the child has a stack and
    // a memory of its own.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            std::ptr::from_mut(args),
            size_of::<libc::clone_args>(),
        )
    };
    Errno::result(pid).map(|pid| pid as libc::pid_t)
}
