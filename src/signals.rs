//! Signals that ask something of jaula, or of what it runs.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::pipe2;

/// Those that a user or a supervisor sends. The others stay as they are.
const HELD: [Signal; 6] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGTERM,
];

/// Those that say something of the user's terminal: that it has another size, and that the user
/// has it back after it was left. Without a terminal of its own they mean nothing to a command.
const OF_A_TERMINAL: [Signal; 3] = [Signal::SIGWINCH, Signal::SIGTSTP, Signal::SIGCONT];

/// The signals, held back until somebody takes them, so that none is lost.
pub struct Signals {
    held: SigSet,
    taken: SignalFd,
}

impl Signals {
    /// Holds them back from now on, in this thread and all that it starts.
    pub fn hold() -> io::Result<Self> {
        let held: SigSet = HELD.into_iter().collect();
        held.thread_block()?;
        let taken = SignalFd::with_flags(&held, SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { held, taken })
    }

    /// Holds back those of the user's terminal as well.
    pub fn hold_those_of_a_terminal(&mut self) -> io::Result<()> {
        self.held.extend(OF_A_TERMINAL);
        self.held.thread_block()?;
        Ok(self.taken.set_mask(&self.held)?)
    }

    /// Lets them do what they usually do, also those that came meanwhile.
    pub fn release(self) -> io::Result<()> {
        Ok(self.held.thread_unblock()?)
    }

    /// Does `work` in this thread, while another one gives each signal to `take`.
    pub fn during<T>(
        &self,
        take: impl Fn(Signal) + Send,
        work: impl FnOnce() -> T,
    ) -> io::Result<T> {
        // Closing the writing end, which can't fail, stops the thread.
        let (stop, working) = pipe2(OFlag::O_CLOEXEC)?;
        thread::scope(move |scope| {
            let taker = thread::Builder::new()
                .name("signals".into())
                .spawn_scoped(scope, move || self.take_until(stop.as_fd(), take))?;
            let done = work();
            drop(working);
            taker
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))?;
            Ok(done)
        })
    }

    /// Gives those to `take` that have come.
    pub(super) fn take_pending(&self, take: impl Fn(Signal)) -> io::Result<()> {
        loop {
            let mut fds = [PollFd::new(self.taken.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::ZERO) {
                Err(Errno::EINTR) => {}
                Ok(0) => return Ok(()),
                polled => {
                    polled?;
                    self.take_one(&take)?;
                }
            }
        }
    }

    /// Gives each signal to `take` until nobody can write to `stop` any more.
    pub(super) fn take_until(&self, stop: BorrowedFd<'_>, take: impl Fn(Signal)) -> io::Result<()> {
        loop {
            let mut fds = [
                PollFd::new(self.taken.as_fd(), PollFlags::POLLIN),
                PollFd::new(stop, PollFlags::POLLIN),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                polled => polled?,
            };
            let [signalled, stopped] = fds.map(|fd| fd.any().unwrap_or(true));
            // What has come is taken first: it was sent before the work was done.
            if signalled {
                self.take_one(&take)?;
            } else if stopped {
                return Ok(());
            }
        }
    }

    /// Waits for one.
    fn take_one(&self, take: impl Fn(Signal)) -> io::Result<()> {
        if let Some(info) = self.taken.read_signal()?
            && let Ok(signal) = i32::try_from(info.ssi_signo)
                .map_err(|_| Errno::EINVAL)
                .and_then(Signal::try_from)
        {
            take(signal);
        }
        Ok(())
    }
}
