//! An instance that the caller waits for: it has the caller's own streams and signals.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use launch::{ExitStatus, Instance, Prepared};
use nix::sys::signal::Signal;

use crate::error::Error;
use crate::signals::Signals;
use crate::thrift::give_memory_back;
use crate::{out_of_memory, stdio};

/// A user who types Ctrl-C this often means it, whatever the command does with it. docker's
/// number, too.
const INTERRUPTS_TO_KILL: u32 = 3;

/// How often it is looked whether the user means it.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How it ended.
pub struct End {
    /// How the command did.
    pub status: ExitStatus,
    /// Whether the kernel killed one of its processes for want of memory.
    pub out_of_memory: bool,
}

/// Launches, passes signals on, and waits for the end and for all output.
pub fn follow(prepared: &dyn Prepared, interactive: bool, signals: &Signals) -> Result<End, Error> {
    let (stdio, terminals) = stdio::for_command(interactive)?;
    let instance = prepared.launch(stdio)?;
    let outputs = terminals.start()?;
    let interrupts = AtomicU32::new(0);
    let status = signals.during(
        |signal| {
            if signal == Signal::SIGINT {
                interrupts.fetch_add(1, Ordering::Relaxed);
            }
            // An instance that can't be reached has ended, and why is what the waiting tells.
            let _ = instance.signal(signal);
        },
        || wait(instance.as_ref(), &interrupts),
    )?;
    let has_killed = |status: &ExitStatus| out_of_memory::has_killed(instance.as_ref(), *status);
    let out_of_memory = status.as_ref().is_ok_and(has_killed);
    // Nothing of the instance is left to write after this, so that the outputs end.
    drop(instance);
    outputs.finish();
    Ok(End {
        status: status?,
        out_of_memory,
    })
}

fn wait(instance: &dyn Instance, interrupts: &AtomicU32) -> Result<ExitStatus, launch::Error> {
    let mut waits_long = false;
    loop {
        if let Some(status) = instance.wait(Some(LOOK_EVERY))? {
            return Ok(status);
        }
        if !waits_long {
            // Not worth the time before.
            give_memory_back();
            waits_long = true;
        }
        if interrupts.load(Ordering::Relaxed) >= INTERRUPTS_TO_KILL {
            // Dropping the instance kills the command.
            return Ok(ExitStatus::Signaled(Signal::SIGKILL as u8));
        }
    }
}
