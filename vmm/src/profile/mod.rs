//! Where a booting guest kernel spends its time: its instruction pointer, sampled, and counted
//! by the functions of its symbol table.
//!
//! Made for hosts that emulate ring 0, where a kernel takes seconds and no tool in the guest can
//! look. A thread kicks the vCPU at a steady rate; each kick is a sample.

mod symbols;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use guest_protocol::Mark;
use kvm_ioctls::Kvm;

use crate::builder::{self, BuildError, Recipe};
use crate::vcpu::{Kick, Stop, StopError, VcpuError};

pub use symbols::{SymbolError, Symbols};

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The machine can't be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The machine can't be run.
    #[error(transparent)]
    Run(#[from] StopError),
    /// The machine can't be looked at.
    #[error(transparent)]
    Vcpu(#[from] VcpuError),
    /// The vCPU can't be kicked.
    #[error("the vCPU can't be sampled")]
    Kick(#[source] std::io::Error),
    /// The guest ended before PID 1 ran.
    #[error("the guest ended before its PID 1 ran: {0}")]
    Ended(String),
}

/// The share of one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The function.
    pub symbol: String,
    /// How long it ran itself, what it calls aside.
    pub time: Duration,
}

/// Where the time from the first instruction to PID 1 went.
#[derive(Clone, Debug)]
pub struct Profile {
    /// All of it.
    pub total: Duration,
    /// How many samples were taken.
    pub samples: usize,
    /// By function, the dearest first.
    pub rows: Vec<Row>,
}

/// Boots a machine until its PID 1 runs, looking at it once each `period`. What `recipe` says
/// is to happen at the doorbell happens too.
///
/// # Errors
///
/// When the guest does not get there.
pub fn boot(
    kvm: &Kvm,
    mut recipe: Recipe<'_>,
    symbols: &Symbols,
    period: Duration,
) -> Result<Profile, ProfileError> {
    let booted = Arc::new(AtomicBool::new(false));
    let mut on_mark = recipe.on_mark;
    recipe.on_mark = Box::new({
        let booted = booted.clone();
        move |mark, at| {
            if mark == Mark::Init {
                booted.store(true, Ordering::Relaxed);
            }
            on_mark(mark, at);
        }
    });
    let last_words = Arc::new(Mutex::new(String::new()));
    let mut on_line = recipe.on_line;
    recipe.on_line = Box::new({
        let last_words = last_words.clone();
        move |line| {
            line.clone_into(&mut last_words.lock().unwrap_or_else(PoisonError::into_inner));
            on_line(line);
        }
    });
    let mut machine = builder::build(kvm, recipe, |_| {})?;
    let kick = Kick::this_thread().map_err(ProfileError::Kick)?;

    thread::scope(|scope| {
        let (_running, stopped) = mpsc::channel::<()>();
        scope.spawn(move || {
            // Ends when the other end of the channel does.
            while stopped.recv_timeout(period) == Err(mpsc::RecvTimeoutError::Timeout) {
                if kick.kick().is_err() {
                    break;
                }
            }
        });
        let start = Instant::now();
        let mut last = start;
        let mut samples = 0;
        let mut times: HashMap<&str, Duration> = HashMap::new();
        while !booted.load(Ordering::Relaxed) {
            match machine.run()? {
                Stop::Kicked => {
                    // A sample stands for the time since the one before: kicks come late.
                    let now = Instant::now();
                    let rip = machine.vcpu().registers()?.0.rip;
                    *times.entry(symbols.name(rip)).or_default() += now - last;
                    last = now;
                    samples += 1;
                }
                other => {
                    let words = last_words.lock().unwrap_or_else(PoisonError::into_inner);
                    return Err(ProfileError::Ended(format!("{other:?}; {words}")));
                }
            }
        }
        let mut rows: Vec<_> = times
            .into_iter()
            .map(|(symbol, time)| Row {
                symbol: symbol.to_owned(),
                time,
            })
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.time));
        Ok(Profile {
            total: last - start,
            samples,
            rows,
        })
    })
}
