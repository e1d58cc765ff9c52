//! A command that the caller waits for: it has the caller's own streams and signals.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use launch::{ExitStatus, Prepared, Running, Stdio};
use nix::sys::signal::Signal;

use crate::error::{self, Error};
use crate::interruption::Interruption;
use crate::signals::Signals;
use crate::terminal::{self, Terminal};
use crate::thrift::give_memory_back;
use crate::{out_of_memory, stdio};

/// A user who types Ctrl-C this often means it, whatever the command does with it. docker's
/// number, too.
const INTERRUPTS_TO_KILL: u32 = 3;

/// How often it is looked whether the user means it.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A command that ends within this time does so without a thread that passes signals on. One that
/// is sent meanwhile is held back for as long.
const AT_ONCE: Duration = Duration::from_millis(20);

/// What the command has of the caller.
#[derive(Clone, Copy, Debug)]
pub struct Attached {
    /// Whether it can read the caller's input.
    pub interactive: bool,
    /// Whether it has a terminal of its own in place of the streams.
    pub tty: bool,
    /// What becomes of a signal.
    pub signals: SignalFate,
}

/// What becomes of a signal that the caller gets.
#[derive(Clone, Copy, Debug)]
pub enum SignalFate {
    /// The command gets it.
    PassedOn,
    /// It kills the command, if it is one that ends what it is sent to.
    Kills,
}

/// How it ended.
pub struct End {
    /// How the command did.
    pub status: ExitStatus,
    /// Whether the kernel killed one of its processes for want of memory.
    pub out_of_memory: bool,
}

/// Launches, passes signals on, and waits for the end and for all output.
pub fn follow(
    prepared: &dyn Prepared,
    attached: Attached,
    signals: &mut Signals,
) -> Result<End, Error> {
    let launch = |stdio| prepared.launch(stdio);
    let (status, out_of_memory) = attached.follow(launch, signals, out_of_memory::has_killed)?;
    Ok(End {
        status,
        out_of_memory,
    })
}

impl Attached {
    /// Starts a command, passes signals on, and waits for its end and for all output. `look` sees
    /// it after its end, before it is gone.
    pub fn follow<R: Running + ?Sized, T>(
        self,
        start: impl FnOnce(Stdio) -> Result<Box<R>, launch::Error>,
        signals: &mut Signals,
        look: impl FnOnce(&R, ExitStatus) -> T,
    ) -> Result<(ExitStatus, T), Error> {
        if self.tty {
            signals.hold_those_of_a_terminal()?;
        }
        let (stdio, relays) = stdio::for_command(self)?;
        let terminal = self.tty.then(|| Terminal::new(self.interactive));
        if let Some(terminal) = &terminal {
            // Before the command has its first word: that may be a question to the terminal.
            terminal.pass_on()?;
        }
        let running = start(stdio)?;
        let outputs = relays.start()?;
        let status = attend(self, running.as_ref(), terminal, signals);
        let seen = status.map(|status| (status, look(running.as_ref(), status)));
        // Nothing of it is left to write after this, so that the outputs end.
        drop(running);
        if let Err(error) = outputs.finish() {
            // How the command ended is still to be told.
            error::print(&error);
        }
        seen
    }
}

/// Passes on to it what comes until it ends. The user's terminal is as it was when this returns.
fn attend<R: Running + ?Sized>(
    attached: Attached,
    running: &R,
    terminal: Option<Terminal>,
    signals: &Signals,
) -> Result<ExitStatus, Error> {
    if terminal.is_some() {
        // It may have another size since that was looked at.
        running.resize(terminal::window_size())?;
    }
    if let Some(status) = running.wait(Some(AT_ONCE))? {
        return Ok(status);
    }
    let interrupts = AtomicU32::new(0);
    let status = signals.during(
        |signal| {
            if let SignalFate::Kills = attached.signals {
                if Interruption::ends(signal) {
                    interrupts.store(INTERRUPTS_TO_KILL, Ordering::Relaxed);
                }
                return;
            }
            if signal == Signal::SIGINT {
                interrupts.fetch_add(1, Ordering::Relaxed);
            }
            // A command that can't be reached has ended, and why is what the waiting tells.
            let _ = match (signal, &terminal) {
                (Signal::SIGWINCH, _) => running.resize(terminal::window_size()),
                (Signal::SIGTSTP, Some(terminal)) => {
                    terminal.stop();
                    Ok(())
                }
                (Signal::SIGCONT, Some(terminal)) => terminal
                    .pass_on()
                    .map_err(launch::Error::from)
                    .and_then(|()| running.resize(terminal::window_size())),
                _ => running.signal(signal),
            };
        },
        || wait(running, &interrupts),
    )?;
    Ok(status?)
}

fn wait<R: Running + ?Sized>(
    running: &R,
    interrupts: &AtomicU32,
) -> Result<ExitStatus, launch::Error> {
    let mut waits_long = false;
    loop {
        if let Some(status) = running.wait(Some(LOOK_EVERY))? {
            return Ok(status);
        }
        if !waits_long {
            // Not worth the time before.
            give_memory_back();
            waits_long = true;
        }
        if interrupts.load(Ordering::Relaxed) >= INTERRUPTS_TO_KILL {
            // Dropping it kills the command.
            return Ok(ExitStatus::Signaled(Signal::SIGKILL as u8));
        }
    }
}
