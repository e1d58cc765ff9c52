//! `jaula exec -d -t`: a terminal has another end, which somebody has to hold as long as the command
//! runs. A keeper does, and lets go of all that the terminal shows.

use std::io::{self, PipeWriter};
use std::process;

use launch::{ExitStatus, Running, Stdio};
use nix::unistd::{ForkResult, chdir, fork};

use super::caller::Caller;
use super::start::Start;
use super::{DetachError, Inherited, be_single_threaded};
use crate::error::{self, Error};
use crate::not_executed::NotExecuted;
use crate::thrift::give_memory_back;

/// Has a keeper start a command of this `program` and wait for its end. Returns when it was
/// executed; the exit code is docker's: 0, or that of a command that could not be executed.
pub fn leave_with_terminal<'a>(
    program: String,
    inherited: &Inherited,
    start: impl FnOnce(Stdio) -> Result<Box<dyn Running + 'a>, launch::Error>,
) -> Result<u8, Error> {
    let (report, reporter) = io::pipe()?;
    be_single_threaded()?;
    // SAFETY: this is the only thread, so no lock is held and nothing is half done: the child may
    // do whatever the parent might.
    match unsafe { fork() }.map_err(|errno| DetachError::Fork(errno.into()))? {
        ForkResult::Child => {
            drop(report);
            // `exit`, and not a return to what the caller had in mind.
            process::exit(keep(program, reporter, inherited, start).into())
        }
        ForkResult::Parent { .. } => {
            drop(reporter);
            match Start::receive(report)? {
                Some(Start::Running(_)) => Ok(0),
                // The keeper has said why.
                Some(Start::Failed(code)) => Ok(code),
                None => Err(DetachError::Died.into()),
            }
        }
    }
}

/// The keeper's whole life; what it exits with, which nobody sees.
fn keep<'a>(
    program: String,
    reporter: PipeWriter,
    inherited: &Inherited,
    start: impl FnOnce(Stdio) -> Result<Box<dyn Running + 'a>, launch::Error>,
) -> u8 {
    let caller = match Caller::leave(inherited) {
        Ok(caller) => caller,
        Err(error) => {
            error::print(&error);
            return Start::fail(ExitStatus::LAUNCHER_FAILED, reporter);
        }
    };
    let started = Stdio::null()
        .map_err(launch::Error::from)
        .and_then(start)
        .and_then(|running| Ok((running.wait_executed()?, running)));
    let running = match started {
        Ok((None, running)) => running,
        Ok((Some(status), _)) => {
            if let Some(not_executed) = NotExecuted::from(program, status) {
                caller.tell(&not_executed);
            }
            return Start::fail(status.code(), reporter);
        }
        Err(error) => {
            caller.tell(&error);
            return Start::fail(ExitStatus::LAUNCHER_FAILED, reporter);
        }
    };
    drop(caller);
    if let Err(error) = Start::Running(String::new()).report(reporter) {
        tracing::debug!("the caller is gone: {error}");
    }
    // Whatever is mounted where the caller was can be unmounted.
    if let Err(error) = chdir("/") {
        tracing::debug!("the keeper stays where the caller was: {error}");
    }
    give_memory_back();
    match running.wait(None) {
        Ok(_) => 0,
        Err(error) => {
            tracing::warn!("the keeper of a command's terminal fails: {error}");
            1
        }
    }
}
