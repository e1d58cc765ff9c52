use std::io::{self, PipeReader};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use guest_protocol::{FrameError, Start, ToHost};
use launch::{
    Endpoint, ExitStatus, Footprint, Instance, InstanceId, MonotonicNs, Running, Stdio, Timeline,
    WindowSize,
};
use nix::sys::signal::Signal;

use super::Error;
use super::conversation;
use super::last_words::{LastWords, each_line};
use super::meeting::Listeners;
use crate::processes::{self, spawned::Spawned};

/// How QEMU begins to say that it can't go on with a guest, which it then keeps, and stands still.
const STANDS_STILL: &str = "KVM internal error";

/// From the execution of QEMU to the first call of PID 1.
pub(super) const BOOT: &str = "boot, connect";

type Answer = Result<Option<ToHost>, FrameError>;

/// A QEMU that runs, and those who listen to it and its guest.
pub(super) struct QemuInstance {
    process: Arc<Spawned>,
    listeners: Arc<Listeners>,
    /// When PID 1 called, which is its first sign.
    called_at: Arc<OnceLock<MonotonicNs>>,
    words: LastWords,
    state: Mutex<State>,
}

enum State {
    Talking {
        conversation: JoinHandle<Answer>,
        hearing: Vec<JoinHandle<()>>,
    },
    /// Nobody talks any more. If the command ended, this is how.
    Over(Option<ExitStatus>),
}

impl QemuInstance {
    /// Begins to listen to `process`, whose standard output, the guest's serial port, and standard error
    /// can be read from `said`. `start` tells what its guest is to run.
    pub(super) fn new(
        process: Spawned,
        listeners: Listeners,
        said: [PipeReader; 2],
        stdio: Stdio,
        start: impl FnOnce() -> io::Result<Start> + Send + 'static,
    ) -> Result<Self, launch::Error> {
        let (process, listeners) = (Arc::new(process), Arc::new(listeners));
        let called_at = Arc::new(OnceLock::new());
        let words = LastWords::default();
        let [serial, complaints] = said;
        let spawn = |work: Box<dyn FnOnce() + Send>| thread::Builder::new().spawn(work);
        let failed = |source| {
            end(&process);
            processes::Error::Start(source)
        };
        let heard = words.clone();
        let guest_is_heard = spawn(Box::new(move || {
            each_line(serial, |line| heard.hear_guest(line));
        }));
        let (heard, its_own) = (words.clone(), Arc::clone(&process));
        let qemu_is_heard = spawn(Box::new(move || {
            each_line(complaints, |line| {
                heard.hear_qemu(line);
                if line.starts_with(STANDS_STILL) {
                    end(&its_own);
                }
            });
        }));
        let hearing = vec![
            guest_is_heard.map_err(failed)?,
            qemu_is_heard.map_err(failed)?,
        ];
        let (its_own, meeting) = (Arc::clone(&process), Arc::clone(&listeners));
        let called = Arc::clone(&called_at);
        // The last one, as it only ends with QEMU.
        let conversation = thread::Builder::new().spawn(move || {
            let answer = conversation::hold(&meeting, &called, start, stdio);
            end(&its_own);
            answer
        });
        let conversation = conversation.map_err(failed)?;
        Ok(Self {
            process,
            listeners,
            called_at,
            words,
            state: Mutex::new(State::Talking {
                conversation,
                hearing,
            }),
        })
    }

    /// Of a QEMU that has ended: how the command did.
    fn outcome(&self) -> Result<ExitStatus, Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let talking = std::mem::replace(&mut *state, State::Over(None));
        let answer = match talking {
            State::Over(Some(status)) => {
                *state = State::Over(Some(status));
                return Ok(status);
            }
            State::Over(None) => return Err(self.ended()),
            State::Talking {
                conversation,
                hearing,
            } => {
                self.listeners.close();
                for thread in hearing {
                    // One that panicked has heard nothing.
                    let _ = thread.join();
                }
                conversation.join()
            }
        };
        match answer {
            Ok(Ok(Some(ToHost::Ended(end)))) => {
                *state = State::Over(Some(end.status));
                Ok(end.status)
            }
            Ok(Ok(Some(ToHost::Failed(failure)))) => Err(Error::NotStarted(failure)),
            // That it broke off is what comes of QEMU's end.
            Ok(Err(error @ (FrameError::Malformed(_) | FrameError::TooLong(_)))) => {
                Err(error.into())
            }
            Ok(Ok(None) | Err(FrameError::Io(_))) | Err(_) => Err(self.ended()),
        }
    }

    fn ended(&self) -> Error {
        self.words.reason().map_or(Error::Silent, Error::Ended)
    }
}

/// As our monitor ends, too: there is nothing left to be done for the guest.
fn end(process: &Spawned) {
    // It may have ended by itself.
    let _ = process.signal(Signal::SIGKILL);
}

impl Running for QemuInstance {
    /// QEMU gets it, not the command.
    fn signal(&self, signal: Signal) -> Result<(), launch::Error> {
        self.process.signal(signal)
    }

    fn resize(&self, size: WindowSize) -> Result<(), launch::Error> {
        self.process.resize(size)
    }

    fn wait_executed(&self) -> Result<Option<ExitStatus>, launch::Error> {
        self.process.wait_executed()
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<Option<ExitStatus>, launch::Error> {
        match self.process.wait(timeout)? {
            None => Ok(None),
            Some(_) => Ok(Some(self.outcome()?)),
        }
    }

    fn out_of_memory(&self) -> Result<bool, launch::Error> {
        Ok(false)
    }
}

impl Instance for QemuInstance {
    fn id(&self) -> &InstanceId {
        self.process.id()
    }

    fn wait_main(&self) -> Result<bool, launch::Error> {
        self.process.wait_main()
    }

    fn pid(&self) -> Result<i32, launch::Error> {
        self.process.pid()
    }

    fn endpoint(&self) -> Option<Endpoint> {
        None
    }

    fn timeline(&self) -> Timeline {
        let whole = self.process.timeline();
        let mut timeline = Timeline::starting(whole.start());
        if let Some(at) = self.called_at.get() {
            timeline.mark(BOOT, *at);
        }
        if !whole.spans().is_empty() {
            timeline.mark("run", whole.end());
        }
        timeline
    }

    fn footprint(&self) -> Result<Footprint, launch::Error> {
        self.process.footprint()
    }

    fn cpu_ns(&self) -> Result<Option<u64>, launch::Error> {
        self.process.cpu_ns()
    }
}

impl Drop for QemuInstance {
    fn drop(&mut self) {
        end(&self.process);
        // What came of it nobody wants to know.
        let _ = self.process.wait(None);
        let _ = self.outcome();
    }
}
