//! `jaula exec`: a further command in an instance, with the caller's own streams and signals.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use host::instances::{Found, Text};
use launch::{Command, ExitStatus, Further};
use nix::sys::signal::Signal;

use super::inside::Inside;
use super::{Failure, World, running};
use crate::args::ExecArgs;
use crate::detached::{Inherited, leave_with_terminal};
use crate::environment::{self, DEFAULT_TERM, Environment};
use crate::error::{self, Error};
use crate::foreground::{Attached, SignalFate};
use crate::not_executed::NotExecuted;
use crate::out_of_memory::{self, OutOfMemory};
use crate::signals::Signals;
use crate::terminal;

const SIGKILL: u8 = Signal::SIGKILL as u8;

/// Runs it; the exit code is the command's.
pub fn exec(args: &ExecArgs) -> Result<u8, Error> {
    let with_keeper = args.detach && args.tty;
    let inherited = with_keeper.then(Inherited::find).transpose()?;
    let (name, words) = args
        .instance_and_command()
        .map_err(|error| launch::Error::new(error).with_remedy("see jaula exec --help"))?;
    let attached = Attached {
        interactive: args.interactive,
        tty: args.tty,
        signals: SignalFate::PassedOn,
    };
    if attached.interactive && attached.tty && !args.detach {
        terminal::check_input().map_err(launch::Error::from)?;
    }
    let world = World::open()?;
    let found = world.instances.find(&name.to_string_lossy());
    let found = found.map_err(Failure::from)?;
    running(&found)?;
    if world.is_paused(&found) {
        return Err(Failure::StandsStill(found.record.name).into());
    }
    let inside = match world.inside(&found) {
        // It is not about the instance.
        Err(Failure::Launcher(error)) => return Err(error.into()),
        inside => inside?,
    };
    let further = Further {
        command: command(args, words, &found, &inside)?,
        terminal: args.tty.then(terminal::window_size),
    };
    if let Some(inherited) = inherited {
        let execute = |stdio| inside.execute(&further, stdio);
        return leave_with_terminal(program(&further), &inherited, execute);
    }
    if args.detach {
        let failed = inside.leave_running(&further)?;
        return Ok(told(&further, failed.unwrap_or(ExitStatus::Exited(0))));
    }
    let mut signals = Signals::hold()?;
    let execute = |stdio| inside.execute(&further, stdio);
    let (status, out_of_memory) =
        attached.follow(execute, &mut signals, out_of_memory::has_killed)?;
    let code = told(&further, status);
    // Of one that ended otherwise it need not have been a process.
    let is_killed = status.code() == ExitStatus::Signaled(SIGKILL).code();
    if is_killed && out_of_memory {
        let limit = found.record.asked.resources.memory;
        if let Some(said) = OutOfMemory::from(status, limit) {
            error::print(&said);
        }
    }
    Ok(code)
}

fn program(further: &Further) -> String {
    further.command.program().to_string_lossy().into_owned()
}

/// What jaula exits with, when it has told why the command was not executed if it was not.
fn told(further: &Further, status: ExitStatus) -> u8 {
    if let Some(not_executed) = NotExecuted::from(program(further), status) {
        error::print(&not_executed);
    }
    status.code()
}

/// What is typed, and for the rest what is on record of the instance's own command.
fn command(
    args: &ExecArgs,
    words: &[std::ffi::OsString],
    found: &Found,
    inside: &Inside<'_>,
) -> Result<Command, launch::Error> {
    let own = &found.record.asked.command;
    let mut environment = Environment::of(own.env.iter().map(Text::as_bytes));
    if args.tty {
        environment.set_default("TERM", DEFAULT_TERM);
    }
    let credentials = match &args.user {
        Some(user) => {
            let user = inside.look_up(user)?;
            environment.set("HOME", OsStr::from_bytes(user.home.to_bytes()));
            user.credentials
        }
        None => own.credentials.clone(),
    };
    let variables = environment::given(&args.env_file, &args.env).map_err(launch::Error::new)?;
    for variable in &variables {
        environment.apply(variable);
    }
    let cwd = match &args.workdir {
        Some(dir) => dir.as_bytes(),
        None => own.cwd.as_bytes(),
    };
    let argv = words.iter().map(|word| word.clone().into_vec());
    Command::new(argv, environment.into_strings(), cwd, credentials).map_err(launch::Error::new)
}
