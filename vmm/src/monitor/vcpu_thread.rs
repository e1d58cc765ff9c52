//! The thread that runs the guest, and what is done there while the guest stands still.

use std::cell::OnceCell;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::event::Event;
use super::session::SessionError;
use super::threads::{Threads, tell};
use crate::jail::{Filter, Role};
use crate::machine::Machine;
use crate::vcpu::{Kick, Stop};

/// Something to be done with the machine between two runs of its vCPU.
type Errand = Box<dyn FnOnce(&mut Machine) + Send>;

/// A kick that comes while the thread is not in its guest does nothing, and is repeated.
const KICK_EVERY: Duration = Duration::from_millis(20);

/// The running thread, as others see it.
pub(super) struct VcpuThread {
    begin: Sender<()>,
    errands: Sender<Errand>,
    kick_sent: Receiver<Kick>,
    kick: OnceCell<Kick>,
}

/// Starts the threads of all processors but the first. From a thread that may: none that runs a
/// processor may start others.
pub(super) fn start_others(machine: &mut Machine) -> Result<(), SessionError> {
    let filter = Arc::new(Filter::of(Role::Vcpu)?);
    machine
        .start_threads(move || filter.load().map_err(io::Error::other))
        .map_err(SessionError::Thread)
}

impl VcpuThread {
    /// Starts it. It tells of the machine's stop, which does not run before [`VcpuThread::begin`].
    pub(super) fn start(mut machine: Machine, threads: &Threads<'_>) -> Result<Self, SessionError> {
        start_others(&mut machine)?;
        let (errands, to_do) = mpsc::channel::<Errand>();
        let (kick_sender, kick_sent) = mpsc::channel();
        let (begin, begun) = mpsc::channel();
        threads.start(Role::Vcpu, move |events| {
            match Kick::this_thread() {
                // Whoever started this may have ended.
                Ok(kick) => drop(kick_sender.send(kick)),
                Err(error) => tracing::error!("the vCPU can't be kicked: {error}"),
            }
            if begun.recv().is_err() {
                // Whatever was to come first has failed.
                return;
            }
            let stopped = loop {
                match machine.run() {
                    Ok(Stop::Kicked) => to_do.try_iter().for_each(|errand| errand(&mut machine)),
                    other => break other,
                }
            };
            tell(events, Event::Stopped(stopped));
        })?;
        Ok(Self {
            begin,
            errands,
            kick_sent,
            kick: OnceCell::new(),
        })
    }

    /// Lets the guest run.
    pub(super) fn begin(&self) {
        // If the thread has ended, it has told why.
        let _ = self.begin.send(());
    }

    /// Does `errand` there, while the guest stands still; `None` if the guest has stopped.
    pub(super) fn with_machine<T: Send + 'static>(
        &self,
        errand: impl FnOnce(&mut Machine) -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, done) = mpsc::channel();
        let (begin, begun) = mpsc::channel();
        let errand = Box::new(move |machine: &mut Machine| {
            let _ = begin.send(());
            let _ = sender.send(errand(machine));
        });
        self.errands.send(errand).ok()?;
        let kick = self.kick()?;
        loop {
            kick.kick().ok()?;
            match begun.recv_timeout(KICK_EVERY) {
                Ok(()) => return done.recv().ok(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// It comes once, when the thread has started.
    fn kick(&self) -> Option<Kick> {
        if let Some(&kick) = self.kick.get() {
            return Some(kick);
        }
        let kick = self.kick_sent.recv().ok()?;
        Some(*self.kick.get_or_init(|| kick))
    }
}
