//! `jaula run`: one side, with the caller's own streams and signals.

use std::sync::Arc;

use host::instances::Asked;
use launch::{Launcher, Prepared, Progress};

use crate::args::{RunArgs, Way};
use crate::detached::{Inherited, Job};
use crate::error::Error;
use crate::foreground::{Attached, End, SignalFate};
use crate::installation::Installation;
use crate::instances::announce::Announced;
use crate::instances::asked;
use crate::interruption::{Interruption, Wish};
use crate::not_executed::NotExecuted;
use crate::notation::Invalid;
use crate::out_of_memory::OutOfMemory;
use crate::signals::Signals;
use crate::timeline_file::TimelineFile;
use crate::workload::{Held, Typed};
use crate::{detached, error, foreground, progress, terminal, workload};

/// Runs the command; the exit code is the command's.
pub fn run(args: &RunArgs) -> Result<u8, Error> {
    // Before anything is opened.
    let inherited = args.detach.then(Inherited::find).transpose()?;
    let attached = Attached {
        interactive: args.workload.process.interactive,
        tty: args.tty,
        signals: SignalFate::PassedOn,
    };
    if attached.interactive && attached.tty && !args.detach {
        terminal::check_input().map_err(launch::Error::from)?;
    }
    let timeline = args.timeline.as_deref().map(TimelineFile::create);
    let timeline = timeline.transpose()?.map(Arc::new);
    let mut signals = Signals::hold()?;
    let interruption = Interruption::default();
    let progress = progress::on_stderr();
    let prepared = signals.once_it_takes_long(
        &|signal| interruption.take(signal, Wish::End),
        progress.as_ref(),
        |progress| prepare(args, progress),
    )?;
    interruption.check()?;
    let Ready {
        program,
        prepared,
        asked,
        installation,
        // Nobody removes its image and volumes while it runs.
        _held,
    } = prepared?;
    if let Some(inherited) = inherited {
        let job = Job {
            program,
            prepared,
            asked: &asked,
            installation,
            interactive: attached.interactive,
            inherited,
        };
        return detached::run(job, &signals);
    }
    let announced = Announced {
        prepared: prepared.as_ref(),
        asked: &asked,
        run_dir: installation.run_dir(),
        timeline,
    };
    let End {
        status,
        out_of_memory,
    } = foreground::follow(&announced, attached, &mut signals)?;
    if let Some(not_executed) = NotExecuted::from(program, status) {
        error::print(&not_executed);
    }
    if out_of_memory && let Some(said) = OutOfMemory::from(status, asked.resources.memory) {
        error::print(&said);
    }
    Ok(status.code())
}

/// What can be launched.
struct Ready {
    program: String,
    prepared: Box<dyn Prepared>,
    asked: Asked,
    installation: Installation,
    _held: Held,
}

fn prepare(args: &RunArgs, progress: &dyn Progress) -> Result<Ready, launch::Error> {
    let way = args
        .way()
        .map_err(|error| launch::Error::new(error).with_remedy("leave it out, or add --as vm"))?;
    if args.tty && args.workload.boot.initrd.is_some() {
        return Err(launch::Error::new(NoTerminal).with_remedy("leave it out"));
    }
    let terminal = args.tty.then(terminal::window_size);
    let Typed {
        installation,
        mut workload,
        held,
    } = workload::prepare(&args.workload, terminal, progress)?;
    workload.supervised = args.detach;
    let stop_signal = held.stop_signal().map(str::parse);
    let stop_signal = stop_signal
        .transpose()
        .map_err(ImageStopSignal)
        .map_err(launch::Error::new)?;
    let asked = asked::of_run(args, way, &workload, &held, stop_signal);
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
            let boot = args.workload.boot.guest();
            installation.vm(boot, start).prepare(&workload, progress)
        }
    }?;
    Ok(Ready {
        program,
        prepared,
        asked,
        installation,
        _held: held,
    })
}

/// The image says something that is no signal.
#[derive(Debug, thiserror::Error)]
#[error("the signal that the image names to stop it can't be used")]
struct ImageStopSignal(#[source] Invalid);

/// A system of its own has a serial port, and no terminal.
#[derive(Debug, thiserror::Error)]
#[error("--tty means nothing with --initrd: what is heard of the VM is its serial port")]
struct NoTerminal;
