use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use launch::MonotonicNs;
use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::Result;

/// Those that a container of root's has.
const NAMESPACES: libc::c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWCGROUP;

/// The least that a container can take: a child in namespaces of its own, which executes a static
/// program as its first system call, and is waited for. This process is small, so to copy it is
/// little of that.
pub struct Floor {
    program: CString,
}

impl Floor {
    pub fn new(program: &Path) -> Result<Self> {
        let program = CString::new(program.as_os_str().as_bytes())?;
        Ok(Self { program })
    }

    /// Runs it once, in nanoseconds; it must succeed.
    pub fn run_once(&self) -> Result<u64> {
        // The name is what a program of many names goes by.
        let argv = [c"true".as_ptr(), ptr::null()];
        let env = [ptr::null()];
        // SAFETY: clone_args is plain numbers, for which all zero is valid.
        let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
        args.flags = NAMESPACES as u64;
        args.exit_signal = libc::SIGCHLD as u64;
        let start = MonotonicNs::now();
        // SAFETY: `args` lives through the call. The child has a copy of all memory, and makes
        // system calls only.
        let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of_val(&args)) };
        if pid == 0 {
            // SAFETY: the path is a C string, and both arrays end with a null pointer.
            unsafe { libc::execve(self.program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
            // SAFETY: ends the process.
            unsafe { libc::_exit(127) };
        }
        let pid = Pid::from_raw(Errno::result(pid)? as libc::pid_t);
        let status = waitpid(pid, None)?;
        let end = MonotonicNs::now();
        match status {
            WaitStatus::Exited(_, 0) => Ok(end.since(start)),
            status => Err(format!("{:?} ended with {status:?}", self.program).into()),
        }
    }
}
