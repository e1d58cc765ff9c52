//! Signals while something is prepared, which most often takes no time.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};

use launch::Progress;
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::unistd::pipe2;

use crate::signals::Signals;

impl Signals {
    /// Does `work` in this thread. From when that begins what takes long, which its progress says,
    /// another thread gives each signal to `take`; if it never does, this one at the end.
    pub fn once_it_takes_long<T>(
        &self,
        take: &(dyn Fn(Signal) + Sync),
        progress: &dyn Progress,
        work: impl FnOnce(&dyn Progress) -> T,
    ) -> io::Result<T> {
        thread::scope(|scope| {
            let attention = Attention {
                scope,
                signals: self,
                take,
                progress,
                taker: Mutex::default(),
            };
            let done = work(&attention);
            let taker = attention.taker.into_inner();
            match taker.unwrap_or_else(PoisonError::into_inner) {
                None => self.take_pending(take)?,
                Some(taker) => taker?.stop()?,
            }
            Ok(done)
        })
    }
}

/// Progress that pays attention to signals from its first word on.
struct Attention<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    signals: &'env Signals,
    take: &'env (dyn Fn(Signal) + Sync),
    progress: &'env dyn Progress,
    taker: Mutex<Option<io::Result<Taker<'scope>>>>,
}

/// The thread that takes signals until nobody can write any more.
struct Taker<'scope> {
    thread: ScopedJoinHandle<'scope, io::Result<()>>,
    working: OwnedFd,
}

impl<'scope> Attention<'scope, '_> {
    fn start(&self) -> io::Result<Taker<'scope>> {
        let (stop, working) = pipe2(OFlag::O_CLOEXEC)?;
        let (signals, take) = (self.signals, self.take);
        let thread = thread::Builder::new()
            .name("signals".into())
            .spawn_scoped(self.scope, move || signals.take_until(stop.as_fd(), take))?;
        Ok(Taker { thread, working })
    }
}

impl Taker<'_> {
    fn stop(self) -> io::Result<()> {
        drop(self.working);
        let stopped = self.thread.join();
        stopped.unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    }
}

impl Progress for Attention<'_, '_> {
    fn begin(&self, what: &str) {
        let mut taker = self.taker.lock().unwrap_or_else(PoisonError::into_inner);
        taker.get_or_insert_with(|| self.start());
        drop(taker);
        self.progress.begin(what);
    }

    fn advance(&self, done: u64, total: u64) {
        self.progress.advance(done, total);
    }

    fn end(&self) {
        self.progress.end();
    }

    fn note(&self, what: &str) {
        self.progress.note(what);
    }
}
