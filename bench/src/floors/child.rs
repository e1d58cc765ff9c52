use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use launch::MonotonicNs;
use nix::errno::Errno;
use nix::libc;
use nix::sched::CloneFlags;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

/// The least that a container can take: a child, perhaps in namespaces of its own, which ends or
/// executes a program as its first system call, and is waited for. It has a copy of this process'
/// memory, so the less that is, the lower the floor.
pub struct Child {
    namespaces: CloneFlags,
    program: Option<CString>,
}

impl Child {
    /// One that does nothing.
    pub fn idle(namespaces: CloneFlags) -> Self {
        Self {
            namespaces,
            program: None,
        }
    }

    /// One that executes a program.
    ///
    /// # Errors
    ///
    /// When the path can't be one.
    pub fn executing(namespaces: CloneFlags, program: &Path) -> io::Result<Self> {
        let program = CString::new(program.as_os_str().as_bytes())?;
        Ok(Self {
            namespaces,
            program: Some(program),
        })
    }

    /// Runs it once, in nanoseconds.
    ///
    /// # Errors
    ///
    /// When there can be no such child, or it does not succeed.
    pub fn run_once(&self) -> io::Result<u64> {
        // The name is what a program of many names goes by.
        let argv = [c"true".as_ptr(), ptr::null()];
        let env = [ptr::null()];
        // SAFETY: clone_args is plain numbers, for which all zero is valid.
        let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
        args.flags = self.namespaces.bits() as u64;
        args.exit_signal = libc::SIGCHLD as u64;
        let start = MonotonicNs::now();
        // SAFETY: `args` lives through the call. The child has a copy of all memory, and makes
        // system calls only.
        let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of_val(&args)) };
        if pid == 0 {
            let mut code = 0;
            if let Some(program) = &self.program {
                // SAFETY: the path is a C string, and both arrays end with a null pointer.
                unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
                code = 127;
            }
            // SAFETY: ends the process.
            unsafe { libc::_exit(code) };
        }
        let pid = Pid::from_raw(Errno::result(pid)? as libc::pid_t);
        let status = waitpid(pid, None)?;
        let end = MonotonicNs::now();
        match status {
            WaitStatus::Exited(_, 0) => Ok(end.since(start)),
            status => Err(io::Error::other(format!("it ended with {status:?}"))),
        }
    }
}
