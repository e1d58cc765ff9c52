//! The thread that runs the guest, and what is done there while the guest stands still.

use std::sync::mpsc::{self, Receiver, Sender};

use super::event::Event;
use super::session::SessionError;
use super::threads::{Threads, tell};
use crate::machine::Machine;
use crate::vcpu::{Kick, Stop};

/// Something to be done with the machine between two runs of its vCPU.
type Errand = Box<dyn FnOnce(&mut Machine) + Send>;

/// The running thread, as others see it.
pub(super) struct VcpuThread {
    errands: Sender<Errand>,
    kick: Receiver<Kick>,
}

impl VcpuThread {
    /// Starts it. It tells of the machine's stop.
    pub(super) fn start(mut machine: Machine, threads: &Threads<'_>) -> Result<Self, SessionError> {
        let (errands, to_do) = mpsc::channel::<Errand>();
        let (kick_sender, kick) = mpsc::channel();
        threads.start("vcpu", move |events| {
            match Kick::this_thread() {
                // Whoever started this may have ended.
                Ok(kick) => drop(kick_sender.send(kick)),
                Err(error) => tracing::error!("the vCPU can't be kicked: {error}"),
            }
            let stopped = loop {
                match machine.run() {
                    Ok(Stop::Kicked) => to_do.try_iter().for_each(|errand| errand(&mut machine)),
                    other => break other,
                }
            };
            tell(events, Event::Stopped(stopped));
        })?;
        Ok(Self { errands, kick })
    }

    /// Does `errand` there, while the guest stands still; `None` if the guest has stopped.
    pub(super) fn with_machine<T: Send + 'static>(
        &self,
        errand: impl FnOnce(&mut Machine) -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, done) = mpsc::channel();
        let errand = Box::new(move |machine: &mut Machine| {
            let _ = sender.send(errand(machine));
        });
        self.errands.send(errand).ok()?;
        let kick = self.kick.recv().ok()?;
        kick.kick().ok()?;
        done.recv().ok()
    }
}
