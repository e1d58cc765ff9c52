//! `jaula stop`.

use std::time::Duration;

use host::instances::{Found, Waiting};
use launch::Side;

use super::reach::{KILL, kill_process};
use super::{Failure, World};
use crate::args::StopArgs;
use crate::error::Error;
use crate::notation::StopTimeout;
use crate::output;

/// How long the kernel, and a guest, may take to end what was killed.
const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// Asks each to end, waits for that, and prints its name. One that has ended has been stopped.
pub fn stop(args: &StopArgs) -> Result<u8, Error> {
    World::each(&args.which.names, |world, found| {
        let asked = &found.record.asked;
        let signal = args.signal.map_or(asked.stop_signal, |signal| signal.0);
        let timeout_s = args
            .timeout
            .map_or(asked.stop_timeout_s, StopTimeout::seconds);
        if found.is_running() {
            world.end(found, signal, u64::try_from(timeout_s).ok())?;
        }
        Ok(output::print(&found.record.name)?)
    })
}

impl World {
    /// Sends it a signal and, when it has not ended within this time, SIGKILL; waits for its end.
    pub fn end(&self, found: &Found, signal: u8, timeout_s: Option<u64>) -> Result<(), Failure> {
        // Before the signal: its directory may be gone right after.
        let Some(waiting) = waiting(found)? else {
            return Ok(());
        };
        self.signal(found, signal)?;
        self.let_go_on(found)?;
        let ended = |waiting: &Waiting, timeout| {
            let ended = waiting.ends_within(timeout);
            ended.map_err(Failure::io(found, "waited for"))
        };
        let timeout = timeout_s.map_or(Duration::MAX, Duration::from_secs);
        if (signal != KILL || timeout_s.is_none()) && ended(&waiting, timeout)? {
            return Ok(());
        }
        if signal != KILL {
            self.signal(found, KILL)?;
        }
        if ended(&waiting, KILLED_WITHIN)? {
            return Ok(());
        }
        // A guest that does not listen any more.
        if found.record.asked.side == Side::Vm {
            kill_process(found, KILL)?;
            if ended(&waiting, KILLED_WITHIN)? {
                return Ok(());
            }
        }
        Err(Failure::Alive(found.record.name.clone()))
    }
}

/// The way to wait for its end; `None` if nothing of it is left.
pub fn waiting(found: &Found) -> Result<Option<Waiting>, Failure> {
    found.waiting().map_err(Failure::io(found, "waited for"))
}
