//! `jaula compare`: every way, one after the other, and what differs.

use std::fs::File;
use std::io::{self, Seek};

use bench::{Comparison, Environment, Interrupt, Outcome, Plan, Ways, table};
use launch::{ExitStatus, Progress};
use vmm::StartMode;
use vmm::ring0::Ring0;

use crate::args::CompareArgs;
use crate::error::Error;
use crate::installation::Installation;
use crate::interruption::Interruption;
use crate::signals::Signals;
use crate::{output, progress, workload};

/// Width of a report that goes to no terminal.
const DEFAULT_WIDTH: u16 = 100;

/// Compares and prints; the exit code says whether all could run the command.
pub fn compare(args: &CompareArgs) -> Result<u8, Error> {
    // Before signals are held: a user who types it may call it off as usual.
    let stdin = if args.workload.process.interactive {
        Some(keep_stdin()?)
    } else {
        None
    };
    let signals = Signals::hold()?;
    let interruption = Interruption::default();
    let interrupt = Interrupt::default();
    let progress = progress::on_stderr();
    let comparison = signals.during(
        |signal| {
            interrupt.raise();
            interruption.take(signal);
        },
        || measure(args, stdin.as_ref(), progress.as_ref(), &interrupt),
    )?;
    interruption.check()?;
    let comparison = comparison?;
    if args.json {
        let json = serde_json::to_string_pretty(&comparison).map_err(launch::Error::new)?;
        output::print(&json)?;
    } else {
        let width = terminal_size::terminal_size().map_or(DEFAULT_WIDTH, |(width, _)| width.0);
        output::print(&table::render(&comparison, width))?;
    }
    Ok(exit_code(&comparison))
}

fn measure(
    args: &CompareArgs,
    stdin: Option<&File>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Comparison, launch::Error> {
    let installation = Installation::of_user().map_err(launch::Error::new)?;
    installation.sweep()?;
    let images = installation.images()?;
    let sources = args.workload.sources(&installation.cache, &images);
    let volumes = installation.volumes()?;
    let (workload, _held) = workload::from_args(&args.workload, None, sources, &volumes, progress)?;
    let kernel = args.workload.kernel.as_deref();
    let plan = Plan {
        launchers: Ways {
            container: &installation.container(),
            vm_cold: &installation.vm(kernel, StartMode::Cold),
            vm_warm: &installation.vm(kernel, StartMode::Warm),
        },
        workload: &workload,
        stdin,
        environment: Environment::of_this_host(ring0()),
    };
    bench::compare(plan, progress, interrupt).map_err(launch::Error::new)
}

/// Who executes a guest kernel's instructions here; not known where no VM can run.
fn ring0() -> Option<Ring0> {
    let kvm = vmm::kvm::open().ok()?;
    vmm::ring0::of_host(&kvm).ok()
}

/// All of standard input in a file without a name, as each run reads it from its beginning.
fn keep_stdin() -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    file.rewind()?;
    Ok(file)
}

fn exit_code(comparison: &Comparison) -> u8 {
    let reports = comparison.ways.as_ref().into_array();
    let ran = |outcome: &Outcome| matches!(outcome, Outcome::Ended { .. });
    if reports.iter().all(|report| ran(&report.outcome)) {
        0
    } else {
        ExitStatus::LAUNCHER_FAILED
    }
}
