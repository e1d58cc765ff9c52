use std::fs::File;
use std::io::{self, PipeWriter};
use std::time::Duration;

use host::instances::log::LogWriter;
use launch::{ExitStatus, Instance, Stdio};
use nix::unistd::chdir;

use super::Job;
use super::caller::Caller;
use super::output::Logging;
use super::start::Start;
use crate::error::{self, Error};
use crate::instances::announce::Ending;
use crate::not_executed::NotExecuted;
use crate::signals::Signals;
use crate::thrift::give_memory_back;

/// The caller's copy of the command's streams.
struct Pipes {
    stdout: io::PipeReader,
    stderr: io::PipeReader,
    /// Keeps the command's input from ending.
    stdin: Option<PipeWriter>,
}

/// After this time the keeper, too, has done all that it does once.
const STARTS_WITHIN: Duration = Duration::from_millis(500);

/// What runs.
struct Running {
    // Dropped from top to bottom.
    instance: Box<dyn Instance>,
    ending: Ending,
    log: LogWriter,
    pipes: Pipes,
}

/// The keeper's whole life; what it exits with, which nobody sees.
pub(super) fn keep(job: Job<'_>, reporter: PipeWriter, signals: &Signals) -> u8 {
    let caller = match Caller::leave(&job.inherited) {
        Ok(caller) => caller,
        Err(error) => {
            error::print(&error);
            return Start::fail(ExitStatus::LAUNCHER_FAILED, reporter);
        }
    };
    let running = match start(&job) {
        Ok(Ok(running)) => running,
        Ok(Err(status)) => {
            if let Some(not_executed) = NotExecuted::from(job.program, status) {
                caller.tell(&not_executed);
            }
            return Start::fail(status.code(), reporter);
        }
        Err(error) => {
            caller.tell(&error);
            return Start::fail(error.exit_code(), reporter);
        }
    };
    let id = running.ending.record().id.clone();
    drop(caller);
    if let Err(error) = Start::Running(id).report(reporter) {
        // It was killed, and did not see to it that we are. The instance was asked for.
        tracing::debug!("the caller is gone: {error}");
    }
    drop(job);
    match wait(running, signals) {
        Ok(()) => 0,
        Err(error) => {
            tracing::warn!("the keeper of an instance fails: {error}");
            1
        }
    }
}

/// Launches; how it ended instead, if the command could not be executed.
fn start(job: &Job<'_>) -> Result<Result<Running, ExitStatus>, Error> {
    let (stdio, pipes) = streams(job.interactive)?;
    let instance = job.prepared.launch(stdio)?;
    if let Some(status) = instance.wait_executed()? {
        return Ok(Err(status));
    }
    let run_dir = job.installation.run_dir();
    let log = LogWriter::create(&run_dir.join(instance.id().as_str()))?;
    let ending = Ending::of(instance.as_ref(), job.asked, run_dir)?;
    // Not before: what is launched may have been named by a path from there.
    chdir("/").map_err(io::Error::from)?;
    Ok(Ok(Running {
        instance,
        ending,
        log,
        pipes,
    }))
}

fn streams(interactive: bool) -> io::Result<(Stdio, Pipes)> {
    let (stdin, stdin_open) = if interactive {
        let (reader, writer) = io::pipe()?;
        (reader.into(), Some(writer))
    } else {
        (File::open("/dev/null")?.into(), None)
    };
    let (stdout, theirs_out) = io::pipe()?;
    let (stderr, theirs_err) = io::pipe()?;
    let stdio = Stdio {
        stdin,
        stdout: theirs_out.into(),
        stderr: theirs_err.into(),
    };
    let pipes = Pipes {
        stdout,
        stderr,
        stdin: stdin_open,
    };
    Ok((stdio, pipes))
}

/// Logs, passes signals on, and waits for the end; then clears up and says how it ended.
fn wait(running: Running, signals: &Signals) -> io::Result<()> {
    let Running {
        instance,
        ending,
        log,
        pipes,
    } = running;
    let Pipes {
        stdout,
        stderr,
        stdin,
    } = pipes;
    let logging = Logging::start(stdout, stderr, log)?;
    let status = signals.during(
        |signal| {
            // An instance that can't be reached has ended, and why is what the waiting tells.
            let _ = instance.signal(signal);
        },
        || {
            let ended = instance.wait(Some(STARTS_WITHIN))?;
            if ended.is_some() {
                return Ok(ended);
            }
            give_memory_back();
            instance.wait(None)
        },
    )?;
    // Without a timeout it waits until there is a status.
    if let Some(ended) = status.transpose() {
        ending.take(instance.as_ref(), &ended);
    }
    drop(stdin);
    drop(instance);
    let logged = logging.finish();
    drop(ending);
    logged
}
