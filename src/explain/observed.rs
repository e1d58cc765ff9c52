//! A launch that is watched.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::process;

use launch::{ExitStatus, Prepared, Timeline};
use nix::unistd::{ForkResult, fork};
use serde::{Deserialize, Serialize};
use tracer::Call;

use crate::detached::be_single_threaded;
use crate::error::{self, Error};
use crate::foreground::{Attached, SignalFate};
use crate::interruption::{Interruption, Wish};
use crate::signals::Signals;

/// What was seen of it.
pub struct Observed {
    pub calls: Vec<Call>,
    pub launch: Launch,
}

/// What it says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct Launch {
    pub timeline: Timeline,
    pub status: ExitStatus,
}

/// Why there is nothing to explain.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    #[error("can't start a process to be watched")]
    Fork(#[source] io::Error),
    #[error(transparent)]
    Watch(#[from] tracer::Error),
    /// It has said why.
    #[error("what was to be watched could not be launched")]
    NotLaunched,
}

impl From<ObserveError> for Error {
    fn from(error: ObserveError) -> Self {
        let remedy = match &error {
            ObserveError::Watch(error) => error.remedy().map(str::to_owned),
            _ => None,
        };
        launch::Error::remedied(error, remedy).into()
    }
}

/// Launches in a process of its own, as `jaula run` would, and watches that until nothing is left.
/// The first signal ends what was launched, and that process clears it up.
pub fn observe(
    prepared: &dyn Prepared,
    signals: &mut Signals,
    interruption: &Interruption,
) -> Result<Observed, Error> {
    let (gate, mut opener) = io::pipe()?;
    let (mut told, teller) = io::pipe()?;
    be_single_threaded()?;
    // SAFETY: this is the only thread, so no lock is held and nothing is half done: the child may
    // do whatever the parent might.
    match unsafe { fork() }.map_err(|errno| ObserveError::Fork(errno.into()))? {
        ForkResult::Child => {
            drop(opener);
            drop(told);
            // `exit`, and not a return to what the caller had in mind.
            process::exit(be_watched(prepared, signals, gate, teller))
        }
        ForkResult::Parent { child } => {
            drop(gate);
            drop(teller);
            let watched = signals.during(
                |signal| interruption.take(signal, Wish::End),
                || tracer::watch(child, || opener.write_all(&[1])),
            )?;
            interruption.check()?;
            let calls = watched.map_err(ObserveError::from)?;
            let mut said = Vec::new();
            told.read_to_end(&mut said)?;
            let launch = serde_json::from_slice(&said).map_err(|_| ObserveError::NotLaunched)?;
            Ok(Observed { calls, launch })
        }
    }
}

fn be_watched(
    prepared: &dyn Prepared,
    signals: &mut Signals,
    mut gate: PipeReader,
    mut teller: PipeWriter,
) -> i32 {
    // Closed without a byte, nobody watches.
    if gate.read_exact(&mut [0]).is_err() {
        return 1;
    }
    let said = launch(prepared, signals).and_then(|launch| {
        let said = serde_json::to_vec(&launch).map_err(io::Error::from)?;
        Ok(teller.write_all(&said)?)
    });
    match said {
        Ok(()) => 0,
        Err(error) => {
            error::print(&error);
            1
        }
    }
}

fn launch(prepared: &dyn Prepared, signals: &mut Signals) -> Result<Launch, Error> {
    let attached = Attached {
        interactive: false,
        tty: false,
        signals: SignalFate::Kills,
    };
    let (status, timeline) = attached.follow(
        |stdio| prepared.launch(stdio),
        signals,
        |instance, _| instance.timeline(),
    )?;
    Ok(Launch { timeline, status })
}
