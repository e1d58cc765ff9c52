//! The command line: parses, builds a workload, calls a launcher, prints.

mod args;
mod attention;
mod compare;
mod date;
mod detached;
mod doctor;
mod environment;
mod error;
mod explain;
mod exposed_ports;
mod foreground;
mod image;
mod installation;
mod instances;
mod interruption;
mod kernel;
mod listing;
mod logging;
mod mounts;
mod not_executed;
mod notation;
mod one_by_one;
mod out_of_memory;
mod output;
mod progress;
mod run;
mod signals;
mod snapshot;
mod stdio;
mod suite;
mod template;
mod terminal;
mod thrift;
mod timeline_file;
mod usage;
mod user_namespace;
mod volume;
mod volumes;
mod workload;

use std::process::ExitCode;

use launch::ExitStatus;

use args::{Action, Cli};
use error::Error;

fn main() -> ExitCode {
    if let Err(error) = logging::start() {
        return exit(Err(launch::Error::new(error).into()));
    }
    if vmm::is_monitor() {
        vmm::monitor_main();
    }
    let line: Vec<_> = std::env::args_os().collect();
    let cli = match Cli::of(&line) {
        Ok(cli) => cli,
        Err(answer) if usage::is_answer(&answer) => {
            return exit(
                output::print(&answer.render().to_string())
                    .map(|()| 0)
                    .map_err(Error::from),
            );
        }
        Err(refusal) => {
            error::print(&usage::Refused::new(&refusal, &line));
            return ExitCode::from(ExitStatus::LAUNCHER_FAILED);
        }
    };
    if let Err(error) = user_namespace::enter(&cli.action) {
        return exit(Err(error.into()));
    }
    exit(match &cli.action {
        Action::Run(args) => run::run(args),
        Action::Bench(args) => suite::bench(args),
        Action::Compare(args) => compare::compare(args),
        Action::Explain(args) => explain::explain(args),
        Action::Images(args) => image::images(args),
        Action::Load(args) => image::load(args),
        Action::Pull(args) => image::pull(args),
        Action::Rmi(args) => image::rmi(args),
        Action::Exec(args) => instances::exec(args),
        Action::Ps(args) => instances::ps(args),
        Action::Logs(args) => instances::logs(args),
        Action::Stop(args) => instances::stop(args),
        Action::Kill(args) => instances::kill(args),
        Action::Wait(args) => instances::wait(args),
        Action::Rm(args) => instances::rm(args),
        Action::Inspect(args) => instances::inspect(args),
        Action::Port(args) => instances::port(args),
        Action::Stats(args) => instances::stats(args),
        Action::Pause(args) => instances::pause(args),
        Action::Unpause(args) => instances::unpause(args),
        Action::Doctor => doctor::doctor(),
        Action::Kernel(action) => kernel::kernel(*action),
        Action::Snapshot(action) => snapshot::snapshot(action),
        Action::Template(action) => template::template(action),
        Action::Volume(action) => volume::volume(action),
    })
}

fn exit(result: Result<u8, Error>) -> ExitCode {
    ExitCode::from(result.unwrap_or_else(|error| {
        error::print(&error);
        error.exit_code()
    }))
}
