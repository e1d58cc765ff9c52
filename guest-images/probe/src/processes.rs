use std::ffi::CStr;
use std::io;
use std::ptr;
use std::time::Instant;

use rustix::process::{Pid, WaitOptions, waitpid};

use crate::failure::Failure;
use crate::report::Report;
use crate::sampling::sample;

/// This program, whatever its name.
const SELF: &CStr = c"/proc/self/exe";

/// What a child ends with that could not do what it is for, as in the shells.
const NOT_EXECUTED: i32 = 127;

/// `fork`, `execve` of a small static program, and the wait for its end.
pub(crate) fn measure(report: &mut Report) -> Result<(), Failure> {
    let values = sample(|| {
        let began = Instant::now();
        let child = fork(|| {
            let argv = [c"probe".as_ptr(), c"startup".as_ptr(), ptr::null()];
            let environment = [ptr::null()];
            // SAFETY: both arrays end with a null pointer and hold C strings that live on. It returns
            // only if it failed.
            unsafe { libc::execve(SELF.as_ptr(), argv.as_ptr(), environment.as_ptr()) };
            NOT_EXECUTED
        })?;
        wait_for(child)?;
        Ok(began.elapsed())
    })?;
    report.add("fork-exec-wait", 1, values);
    Ok(())
}

/// A child that does this and ends with the code that it returns.
///
/// # Errors
///
/// When there can't be another process.
pub(crate) fn fork(child: impl FnOnce() -> i32) -> Result<Pid, Failure> {
    // SAFETY: this process has one thread whenever it forks: those of other jobs have ended. So the
    // child is a whole copy, in which everything may be done.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        let code = child();
        // Nothing of the parent's is to be flushed or ended.
        // SAFETY: it only ends the process.
        unsafe { libc::_exit(code) };
    }
    match Pid::from_raw(forked).filter(|_| forked > 0) {
        Some(pid) => Ok(pid),
        None => Err(Failure::of("fork")(io::Error::last_os_error())),
    }
}

/// Waits for the end of a child, which must be a good one.
pub(crate) fn wait_for(child: Pid) -> Result<(), Failure> {
    let ended =
        waitpid(Some(child), WaitOptions::empty()).map_err(Failure::of("wait for a child"))?;
    match ended.and_then(|(_, status)| status.exit_status()) {
        Some(0) => Ok(()),
        _ => Err(Failure::of("run a child")(io::Error::other("it failed"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_fails_is_told_of() {
        // A test has other threads, but this child makes no more than one system call.
        assert!(wait_for(fork(|| 0).unwrap()).is_ok());
        let error = wait_for(fork(|| 3).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "run a child: it failed");
    }
}
