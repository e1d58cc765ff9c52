//! `jaula run -d`: an instance that outlives its caller; and `jaula exec -d -t`.
//!
//! A keeper, forked from the caller, does what the caller does otherwise: it launches, waits and
//! clears up. The caller waits until the command was executed, or until it is known why not.

mod caller;
mod inherited;
mod keeper;
mod output;
mod start;
mod terminal;

use std::fs;
use std::io::{self, PipeReader};
use std::process;
use std::thread::sleep;
use std::time::{Duration, Instant};

use launch::Prepared;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};

use host::instances::Asked;

use crate::error::Error;
use crate::installation::Installation;
use crate::interruption::Interruption;
use crate::output as print;
use crate::signals::Signals;
pub use inherited::Inherited;
use start::Start;
pub use terminal::leave_with_terminal;

/// How long a thread that was joined may take to be gone.
const THREADS_GONE_WITHIN: Duration = Duration::from_secs(1);

/// Why there is no keeper.
#[derive(Debug, thiserror::Error)]
pub enum DetachError {
    #[error("can't start a keeper for the instance")]
    Fork(#[source] io::Error),
    #[error("can't start a keeper for the instance while other threads run")]
    Threads,
    #[error("the keeper of the instance died while it started it")]
    Died,
}

impl From<DetachError> for Error {
    fn from(error: DetachError) -> Self {
        launch::Error::new(error).into()
    }
}

/// What is to be launched.
pub struct Job<'a> {
    /// The name of the program, for who is told that there is none.
    pub program: String,
    pub prepared: Box<dyn Prepared>,
    pub asked: &'a Asked,
    pub installation: Installation,
    /// Whether its input is left open, for a command that ends with it.
    pub interactive: bool,
    /// What it has nothing to do with.
    pub inherited: Inherited,
}

/// Starts it and prints its ID. The exit code is docker's: 0, or that of a command that could not
/// be executed.
pub fn run(job: Job<'_>, signals: &Signals) -> Result<u8, Error> {
    let (report, reporter) = io::pipe()?;
    be_single_threaded()?;
    // SAFETY: this is the only thread, so no lock is held and nothing is half done: the child may
    // do whatever the parent might.
    match unsafe { fork() }.map_err(|errno| DetachError::Fork(errno.into()))? {
        ForkResult::Child => {
            drop(report);
            // `exit`, and not a return to what the caller had in mind.
            process::exit(keeper::keep(job, reporter, signals).into())
        }
        ForkResult::Parent { child } => {
            drop(reporter);
            follow(child, report, &job.installation, signals)
        }
    }
}

/// Waits until threads that were joined are gone, which takes the kernel a moment.
pub fn be_single_threaded() -> Result<(), DetachError> {
    let start = Instant::now();
    while fs::read_dir("/proc/self/task")
        .map_err(DetachError::Fork)?
        .count()
        > 1
    {
        if start.elapsed() > THREADS_GONE_WITHIN {
            return Err(DetachError::Threads);
        }
        sleep(Duration::from_micros(100));
    }
    Ok(())
}

/// Waits for what the keeper reports. A signal calls it off: then nothing is left running.
fn follow(
    keeper: Pid,
    report: PipeReader,
    installation: &Installation,
    signals: &Signals,
) -> Result<u8, Error> {
    let interruption = Interruption::default();
    let start = signals.during(
        |signal| {
            if interruption.note(signal) {
                // What it has started is killed with it. It may be gone already.
                let _ = kill(keeper, Signal::SIGKILL);
            }
        },
        || Start::receive(report),
    )?;
    if let Err(interrupted) = interruption.check() {
        // Nobody else waits for it.
        let _ = waitpid(keeper, None);
        installation.sweep()?;
        return Err(interrupted.into());
    }
    match start? {
        Some(Start::Running(id)) => {
            print::print(&id)?;
            Ok(0)
        }
        // The keeper has said why.
        Some(Start::Failed(code)) => Ok(code),
        None => Err(DetachError::Died.into()),
    }
}
