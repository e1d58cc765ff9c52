//! Process 1 of what a command sees, where it wants one that is not itself: it reaps what nobody
//! waits for, passes signals on, and ends as the command does. The same on both sides.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStringExt;

use entry::Program;
use launch::{Command, Credentials, ExitStatus};

/// Runs the command that comes behind `--`, and returns with which code to end.
pub(crate) fn run(words: &[CString]) -> libc::c_int {
    match try_run(words) {
        Ok(code) => code.into(),
        Err(why) => {
            eprintln!("jaula-init: {why}");
            ExitStatus::LAUNCHER_FAILED.into()
        }
    }
}

/// Why there is no command to be waited for.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("there is no command behind --")]
    NoCommand,
    #[error(transparent)]
    Command(#[from] launch::CommandError),
    #[error("can't make a process: {0}")]
    Fork(#[source] std::io::Error),
    #[error("can't wait for the command: {0}")]
    Wait(#[source] std::io::Error),
}

fn try_run(words: &[CString]) -> Result<u8, Error> {
    let [dashes, argv @ ..] = words else {
        return Err(Error::NoCommand);
    };
    if dashes.as_c_str() != c"--" {
        return Err(Error::NoCommand);
    }
    let command = Command::new(
        argv.iter().map(|word| word.to_bytes().to_vec()),
        environment(),
        "/",
        Credentials::default(),
    )?;
    let program = Program::new(&command);
    // What was executed by descriptor is called like a number, or like the file.
    // SAFETY: the name is a C string.
    unsafe { libc::prctl(libc::PR_SET_NAME, entry::INIT_NAME.as_ptr()) };
    let all = Signals::all();
    // Blocked, a signal waits even where its default is to be ignored, as all are for process 1.
    all.block();
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        -1 => Err(Error::Fork(std::io::Error::last_os_error())),
        0 => become_command(&program, command.program(), &all),
        child => until_end(child, &all),
    }
}

/// The environment: the command's.
fn environment() -> Vec<Vec<u8>> {
    std::env::vars_os()
        .map(|(name, value)| [name.into_vec(), value.into_vec()].join(&b'='))
        .collect()
}

fn become_command(program: &Program, name: &CStr, all: &Signals) -> ! {
    // A group of its own, which has the terminal if there is one: what is typed there is for the
    // command. SIGTTOU is still blocked.
    // SAFETY: numbers only.
    unsafe {
        libc::setpgid(0, 0);
        libc::tcsetpgrp(libc::STDIN_FILENO, libc::getpid());
    }
    all.unblock();
    let failure = program.execute();
    let reason = std::io::Error::from_raw_os_error(failure.errno);
    eprintln!("jaula-init: can't execute {name:?}: {reason}");
    let code = failure
        .exit_status()
        .map_or(ExitStatus::LAUNCHER_FAILED, ExitStatus::code);
    // SAFETY: ends the process, and takes a number.
    unsafe { libc::_exit(code.into()) }
}

/// Passes signals on and reaps until `child` has ended, and returns its code.
fn until_end(child: libc::pid_t, all: &Signals) -> Result<u8, Error> {
    loop {
        let signal = all.wait();
        if signal == libc::SIGCHLD {
            if let Some(status) = reap(child)? {
                return Ok(status.code());
            }
        } else if signal > 0 {
            // SAFETY: numbers only; the child was not waited for, so the number is its.
            unsafe { libc::kill(child, signal) };
        }
    }
}

/// Waits for all that have ended; how `child` did, if it is one of them.
fn reap(child: libc::pid_t) -> Result<Option<ExitStatus>, Error> {
    let mut ended = None;
    loop {
        let mut status = 0;
        // SAFETY: `status` lives through the call.
        match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) } {
            0 => return Ok(ended),
            -1 => {
                let error = std::io::Error::last_os_error();
                match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    // None is left.
                    Some(libc::ECHILD) if ended.is_some() => return Ok(ended),
                    _ => return Err(Error::Wait(error)),
                }
            }
            pid if pid == child => ended = Some(exit_status(status)),
            _ => {}
        }
    }
}

fn exit_status(status: libc::c_int) -> ExitStatus {
    if libc::WIFSIGNALED(status) {
        ExitStatus::Signaled(libc::WTERMSIG(status) as u8)
    } else {
        ExitStatus::Exited(libc::WEXITSTATUS(status) as u8)
    }
}

/// A set of signals.
struct Signals(libc::sigset_t);

impl Signals {
    fn all() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigfillset(3) makes the set valid and does not fail with one that is there.
        unsafe {
            libc::sigfillset(set.as_mut_ptr());
            Self(set.assume_init())
        }
    }

    fn block(&self) {
        self.set(libc::SIG_BLOCK);
    }

    fn unblock(&self) {
        self.set(libc::SIG_UNBLOCK);
    }

    fn set(&self, how: libc::c_int) {
        // SAFETY: the set is valid, and the former mask is not asked for. With these constants
        // the call can't fail.
        unsafe { libc::sigprocmask(how, &raw const self.0, std::ptr::null_mut()) };
    }

    /// The next one that comes; less than 1 if the wait was cut short.
    fn wait(&self) -> libc::c_int {
        // SAFETY: the set is valid, and nothing is asked about the signal but its number.
        unsafe { libc::sigwaitinfo(&raw const self.0, std::ptr::null_mut()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_command_there_is_nothing_to_run() {
        for words in [&[][..], &[c"true".to_owned()], &[c"--".to_owned()]] {
            assert!(try_run(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn the_code_is_the_commands_or_says_which_signal_it_was() {
        // As wait(2) encodes them: the code in the second byte, the signal in the first.
        for (status, code) in [(0, 0), (3 << 8, 3), (255 << 8, 255), (9, 137), (15, 143)] {
            assert_eq!(exit_status(status).code(), code, "{status}");
        }
    }
}
