use std::io::{self, Read, Write};

use launch::{Chain, Finding};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};

use super::filter::{Filter, FilterError, Role};
use super::{Jail, Rights};

const SUBJECT: &str = "monitor";
/// What the process says that is closed in.
const CONTAINED: &str = "contained";

/// Whether a monitor can be closed in here, found out by a process that is.
pub(crate) fn finding() -> Finding {
    match attempt() {
        Ok(None) => Finding::good(
            SUBJECT,
            "can be closed in: namespaces and an empty root of its own, no rights, and a filter of \
             system calls",
        ),
        Ok(Some((why, remedy))) => Finding::missing(SUBJECT, why, remedy),
        Err(error) => Finding::missing(
            SUBJECT,
            format!("whether it can be contained is not known: {error}"),
            "try again",
        ),
    }
}

fn filtered() -> Result<(), FilterError> {
    Filter::of(Role::Devices)?.load()
}

/// Why it can't be, and what can be done.
fn attempt() -> io::Result<Option<(String, String)>> {
    let (mut told, mut tell) = io::pipe()?;
    // SAFETY: the child does what a monitor does, which makes system calls and allocates; glibc's
    // allocator can be used after fork(2), whatever other threads there were.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(told);
            let said = match Jail::enter().and_then(|jail| jail.close(Rights::None)) {
                Err(error) => {
                    let remedy = error.remedy().unwrap_or("run as root");
                    Some(format!("{}\n{remedy}", Chain(&error)))
                }
                Ok(()) => filtered().err().map(|error| {
                    format!("{}\nuse a kernel with CONFIG_SECCOMP_FILTER", Chain(&error))
                }),
            };
            // Who is not told waits for the end, and finds that it was not heard.
            let _ = tell.write_all(said.as_deref().unwrap_or(CONTAINED).as_bytes());
            // SAFETY: ends the process, and takes a number.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            drop(tell);
            let mut said = String::new();
            told.read_to_string(&mut said)?;
            waitpid(child, None)?;
            match said.split_once('\n') {
                Some((why, remedy)) => Ok(Some((why.to_owned(), remedy.to_owned()))),
                None if said == CONTAINED => Ok(None),
                None => Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}
