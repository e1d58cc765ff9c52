//! `jaula run`: one side, with the caller's own streams and signals.

use std::io;

use launch::{ExitStatus, Launcher, Prepared, Progress, Side, Unsupported, WindowSize};

use crate::args::{RunArgs, Way};
use crate::error::Error;
use crate::foreground::End;
use crate::installation::Installation;
use crate::interruption::Interruption;
use crate::notation::MountRequest;
use crate::out_of_memory::OutOfMemory;
use crate::signals::Signals;
use crate::workload::Held;
use crate::{error, foreground, progress, workload};

/// Runs the command; the exit code is the command's.
pub fn run(args: &RunArgs) -> Result<u8, Error> {
    let signals = Signals::hold()?;
    let interruption = Interruption::default();
    let progress = progress::on_stderr();
    let prepared = signals.during(
        |signal| interruption.take(signal),
        || prepare(args, progress.as_ref()),
    )?;
    interruption.check()?;
    // Nobody removes its image and volumes while it runs.
    let (program, prepared, _held) = prepared?;
    let End {
        status,
        out_of_memory,
    } = foreground::follow(
        prepared.as_ref(),
        args.workload.process.interactive,
        &signals,
    )?;
    if let Some(not_executed) = NotExecuted::from(program, status) {
        error::print(&not_executed);
    }
    if out_of_memory && let Some(said) = OutOfMemory::from(status, args.workload.limits.memory) {
        error::print(&said);
    }
    Ok(status.code())
}

fn prepare(
    args: &RunArgs,
    progress: &dyn Progress,
) -> Result<(String, Box<dyn Prepared>, Held), launch::Error> {
    if let Some(flag) = args.not_possible_yet() {
        return Err(launch::Error::new(NotYet(flag)));
    }
    let way = args
        .way()
        .map_err(|error| launch::Error::new(error).with_remedy("leave it out, or add --as vm"))?;
    // Before a directory or a volume is made for what the launcher refuses.
    let mut mounts = args.workload.files.mounts();
    if let Way::Vm(_) = way
        && let Some(flag) = mounts.find_map(MountRequest::of_the_host)
    {
        let side = Side::Vm;
        return Err(Unsupported { flag, side }.into());
    }
    let installation = Installation::of_user().map_err(launch::Error::new)?;
    installation.sweep()?;
    let images = installation.images()?;
    let sources = args.workload.sources(&installation.cache, &images);
    let terminal = args.tty.then(window_size);
    let volumes = installation.volumes()?;
    let (workload, held) =
        workload::from_args(&args.workload, terminal, sources, &volumes, progress)?;
    let program = workload.command.program().to_string_lossy().into_owned();
    let prepared = match way {
        Way::Container => {
            let launcher = installation.container();
            if !args.workload.process.group_add.is_empty() {
                launcher.check_groups()?;
            }
            launcher.prepare(&workload, progress)
        }
        Way::Vm(start) => {
            let kernel = args.workload.kernel.as_deref();
            installation.vm(kernel, start).prepare(&workload, progress)
        }
    };
    Ok((program, prepared?, held))
}

/// A flag of docker's that nothing stands behind.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not possible yet")]
struct NotYet(&'static str);

/// The size of the user's terminal, or that of the first ones.
fn window_size() -> WindowSize {
    let size = terminal_size::terminal_size();
    size.map_or(
        WindowSize {
            rows: 24,
            columns: 80,
        },
        |(columns, rows)| WindowSize {
            rows: rows.0,
            columns: columns.0,
        },
    )
}

/// Why the command never ran, though everything around it was ready.
#[derive(Debug, thiserror::Error)]
enum NotExecuted {
    #[error("there is no command {program:?} in the image, or not what it is to be run with")]
    NotFound { program: String },
    #[error("the command {program:?} can't be executed")]
    NotExecutable { program: String, source: io::Error },
}

impl NotExecuted {
    fn from(program: String, status: ExitStatus) -> Option<Self> {
        match status {
            ExitStatus::NotFound => Some(Self::NotFound { program }),
            ExitStatus::NotExecutable(errno) => Some(Self::NotExecutable {
                program,
                source: io::Error::from_raw_os_error(errno),
            }),
            ExitStatus::Exited(_) | ExitStatus::Signaled(_) => None,
        }
    }
}
