//! What the built-in image `probe` runs: a static program that measures, from inside an instance,
//! what the kernel below it takes for what it is asked.
//!
//! Each word of its command line is a [`Job`]; what they find goes to standard output as a
//! [report](report::Report), in a form that `jaula compare` reads. The same bytes run on all sides.
//!
//! Where a guest's kernel is emulated, a system call takes milliseconds: so [`sampling`] is bounded
//! by time as well as by number.

mod clock;
mod failure;
mod faults;
mod files;
mod hash;
mod job;
mod memory;
mod one_cpu;
mod processes;
mod report;
mod sampling;
mod switches;
mod syscalls;
mod tcp;
mod timer;

use std::env;
use std::io::Write;
use std::process::ExitCode;

use failure::Failure;
use job::Job;
use report::Report;

/// The exit code of one that was called wrongly, as in the shells.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match run(env::args_os().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to be told of a standard error that is closed.
            let _ = writeln!(std::io::stderr(), "probe: {failure}");
            match failure {
                Failure::NotAJob { .. } => ExitCode::from(USAGE),
                Failure::Call { .. } => ExitCode::FAILURE,
            }
        }
    }
}

fn run(words: impl Iterator<Item = std::ffi::OsString>) -> Result<(), Failure> {
    let jobs = words
        .map(|word| Job::parse(&word.to_string_lossy()))
        .collect::<Result<Vec<_>, _>>()?;
    // Nothing is asked but that it starts: nothing else is to be in the time.
    if jobs.iter().all(|job| *job == Job::Startup) {
        return Ok(());
    }
    let mut report = Report::begin()?;
    clock::measure(&mut report)?;
    for job in jobs {
        job.run(&mut report)?;
    }
    report.end()
}
