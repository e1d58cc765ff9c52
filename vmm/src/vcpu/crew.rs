//! All processors of a machine, which run and stand still together.
//!
//! The first runs on the thread that runs the machine, each other one on a thread of its own.
//! Whichever stops first, for whatever reason, stops all: what is to be done then finds none of
//! them running.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::run::{Stop, StopError};
use super::{Kick, Vcpu};
use crate::bus::Bus;
use crate::ending::EndLine;

/// Bytes of stack for a processor's thread; what of it is never touched costs nothing.
const STACK_BYTES: usize = 256 << 10;

/// What all processors reach.
#[derive(Clone)]
pub(crate) struct Surroundings {
    /// The devices.
    pub(crate) bus: Arc<Bus>,
    /// How they say that they are done.
    pub(crate) end: EndLine,
}

/// The processors of a machine.
pub(crate) struct Crew {
    /// The one that boots.
    pub(crate) first: Vcpu,
    /// The others, in the order of their numbers; while they run, none.
    pub(crate) others: Vec<Vcpu>,
    /// The threads of the others, from the first run on.
    workers: Vec<Worker>,
}

impl Crew {
    /// These, which stand still.
    pub(crate) fn new(first: Vcpu, others: Vec<Vcpu>) -> Self {
        Self {
            first,
            others,
            workers: Vec::new(),
        }
    }

    /// Starts the threads of all but the first, unless they were started; otherwise the first run
    /// does. `begin` is done on each before anything else.
    ///
    /// # Errors
    ///
    /// When there is no thread for one, or it could not begin.
    pub(crate) fn start_threads(
        &mut self,
        around: &Surroundings,
        begin: impl FnOnce() -> io::Result<()> + Clone + Send + 'static,
    ) -> io::Result<()> {
        for number in self.workers.len()..self.others.len() {
            let worker = Worker::start(number + 1, around.clone(), begin.clone())?;
            self.workers.push(worker);
        }
        Ok(())
    }

    /// Runs them until one stops, and then the others have, too.
    ///
    /// # Errors
    ///
    /// When one can't go on.
    pub(crate) fn run(&mut self, around: &Surroundings) -> Result<Stop, StopError> {
        if self.others.is_empty() && self.workers.is_empty() {
            return self.first.run(&around.bus, &around.end);
        }
        self.start_threads(around, || Ok(()))
            .map_err(StopError::Thread)?;
        let kicks = self.workers.iter().map(|worker| worker.kick);
        let this_thread = Kick::this_thread().map_err(StopError::Thread)?;
        let round = Arc::new(Round {
            is_over: AtomicBool::new(false),
            kicks: kicks.chain([this_thread]).collect(),
        });
        for (vcpu, worker) in self.others.drain(..).zip(&self.workers) {
            // A worker that has ended says so below.
            let _ = worker.rounds.send((vcpu, round.clone()));
        }
        let mut stopped = round.run(&mut self.first, around);
        for worker in &self.workers {
            let (vcpu, other) = worker.stopped.recv().map_err(|_| StopError::Lost)?;
            self.others.push(vcpu);
            // Those that were stopped because another one had, were kicked.
            if matches!(stopped, Ok(Stop::Kicked)) {
                stopped = other;
            }
        }
        stopped
    }
}

/// One run of all processors.
struct Round {
    is_over: AtomicBool,
    kicks: Vec<Kick>,
}

impl Round {
    /// Runs `vcpu` on the calling thread until it stops, or another one has.
    fn run(&self, vcpu: &mut Vcpu, around: &Surroundings) -> Result<Stop, StopError> {
        let stopped = vcpu.run_unless(&around.bus, &around.end, || {
            self.is_over.load(Ordering::SeqCst)
        });
        // A kick that comes before its vCPU can be kicked finds this set.
        if !self.is_over.swap(true, Ordering::SeqCst) {
            for kick in &self.kicks {
                if let Err(error) = kick.kick() {
                    tracing::debug!("a vCPU's thread has ended: {error}");
                }
            }
        }
        stopped
    }
}

/// The thread of a processor that is not the first. It ends with this.
struct Worker {
    kick: Kick,
    rounds: Sender<(Vcpu, Arc<Round>)>,
    stopped: Receiver<(Vcpu, Result<Stop, StopError>)>,
}

impl Worker {
    fn start(
        number: usize,
        around: Surroundings,
        begin: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let (rounds, to_run) = mpsc::channel::<(Vcpu, Arc<Round>)>();
        let (stopped_sender, stopped) = mpsc::channel();
        let (kick_sender, kick) = mpsc::channel();
        thread::Builder::new()
            .name(format!("vcpu{number}"))
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let kick = begin().and_then(|()| Kick::this_thread());
                // An error means that nobody waits any more.
                let _ = kick_sender.send(kick);
                for (mut vcpu, round) in to_run {
                    let stop = round.run(&mut vcpu, &around);
                    let _ = stopped_sender.send((vcpu, stop));
                }
            })?;
        let ended = |_| io::Error::other("it ended");
        Ok(Self {
            kick: kick.recv().map_err(ended)??,
            rounds,
            stopped,
        })
    }
}

#[cfg(test)]
mod tests;
