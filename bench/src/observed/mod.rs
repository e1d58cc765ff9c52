//! What a run has asked of the host's kernel, and how often its guest left the processor: counted by
//! the kernel's own tracepoints, from main to its end.
//!
//! [`Observer::start`] begins before the launch, in the thread that launches. All processes that come
//! of it are watched from the program on that they execute: the command in its container, with all
//! that it starts, or a VM's monitor with all its threads.

mod names;
mod rings;
mod tally;
mod tracepoint;

use std::io;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use launch::{MonotonicNs, Side};
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};

use rings::Rings;
use tally::{Scope, Window};
use tracepoint::Tracepoint;

/// What was seen of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// How long it was watched: from main to its end, or until it was ended.
    pub watched_ns: u64,
    /// System calls of the host, the most frequent first: of the command's processes, or of the monitor
    /// with its threads.
    pub calls: Vec<Count>,
    /// Of a VM, how often it left `KVM_RUN` for the monitor, by `KVM_EXIT_`.
    pub exits_to_monitor: Option<Vec<Count>>,
    /// Of a VM, how often it left the processor, by the processor's reason; `None` where the kernel tells
    /// nothing of that, as one does that emulates a guest's kernel mode.
    pub exits_of_processor: Option<Vec<Count>>,
    /// For how many of all these the kernel had no room: they happened, and are in none of the counts.
    pub lost: u64,
}

/// Something that happened so many times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// What.
    pub name: String,
    /// How often.
    pub times: u64,
}

/// What was seen, or why nothing was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObservedReading {
    /// It was watched.
    Taken(Observed),
    /// It was not.
    Unavailable {
        /// Why, in one line.
        reason: String,
    },
}

impl ObservedReading {
    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::Unavailable { reason }
    }
}

/// Why a run can't be watched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObserveError {
    /// The kernel lets nobody else.
    #[error("only root may watch it")]
    NotRoot,
    /// The kernel has no such tracepoint, or no tracefs.
    #[error("the kernel's tracepoint {name} can't be found")]
    Tracepoint {
        /// Which.
        name: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// `perf_event_open(2)` fails, or there is no memory for its ring.
    #[error("the kernel does not let it be watched")]
    Open(#[source] io::Error),
    /// There is no thread to read what the kernel tells.
    #[error("can't start a thread that watches")]
    Thread(#[source] io::Error),
}

/// How often what the kernel tells is fetched: its rings hold far more than comes meanwhile.
const FETCH_EVERY: Duration = Duration::from_millis(2);

/// Watches what is launched from this thread, until it is finished.
pub(crate) struct Observer {
    scope: Arc<Mutex<Scope>>,
    stop: Sender<()>,
    fetching: JoinHandle<Window>,
    sources: Sources,
}

/// The tracepoints that are there.
struct Sources {
    calls: Tracepoint,
    /// None without KVM.
    to_monitor: Option<Tracepoint>,
    of_processor: Option<Tracepoint>,
}

impl Observer {
    pub(crate) fn start() -> Result<Self, ObserveError> {
        if !geteuid().is_root() {
            return Err(ObserveError::NotRoot);
        }
        let sources = Sources {
            calls: Tracepoint::find("raw_syscalls/sys_enter", &["id"])?,
            to_monitor: Tracepoint::find("kvm/kvm_userspace_exit", &["reason", "errno"]).ok(),
            of_processor: Tracepoint::find("kvm/kvm_exit", &["exit_reason", "isa"]).ok(),
        };
        // Of this thread, so before the one that fetches is there.
        let kvm = [&sources.to_monitor, &sources.of_processor];
        let all = std::iter::once(&sources.calls).chain(kvm.into_iter().flatten());
        let mut rings = Rings::of_this_thread(all).map_err(ObserveError::Open)?;
        let scope = Arc::new(Mutex::new(Scope::default()));
        let (stop, stopped) = mpsc::channel();
        let known = Arc::clone(&scope);
        let fetch = move || {
            let mut window = Window::default();
            loop {
                let is_over =
                    stopped.recv_timeout(FETCH_EVERY) != Err(mpsc::RecvTimeoutError::Timeout);
                rings.fetch(&mut window);
                window.settle(&lock(&known));
                if is_over {
                    return window;
                }
            }
        };
        let fetching = thread::Builder::new().name("observer".into()).spawn(fetch);
        Ok(Self {
            scope,
            stop,
            fetching: fetching.map_err(ObserveError::Thread)?,
            sources,
        })
    }

    /// What comes before this is none of the workload's.
    pub(crate) fn note_main(&self, at: MonotonicNs) {
        lock(&self.scope).main = Some(at);
    }

    /// What comes of what is asked meanwhile is not the workload's either. To be called once.
    pub(crate) fn while_asking<T>(&self, ask: impl FnOnce() -> T) -> T {
        let began = MonotonicNs::now();
        // As long as it is not over, nothing counts.
        lock(&self.scope).asked = Some((began, MonotonicNs(u64::MAX)));
        let asked = ask();
        lock(&self.scope).asked = Some((began, MonotonicNs::now()));
        asked
    }

    /// What was seen until `end`; nothing if there was no main.
    pub(crate) fn finish(self, side: Side, end: MonotonicNs) -> ObservedReading {
        drop(self.stop);
        let Ok(window) = self.fetching.join() else {
            return ObservedReading::unavailable("the thread that watched it panicked");
        };
        let scope = *lock(&self.scope);
        if scope.main.is_none() {
            return ObservedReading::unavailable("the command was not executed");
        }
        let counts = window.until(&scope, end);
        let is_vm = side == Side::Vm;
        let of = |source: &Option<Tracepoint>| {
            let source = source.as_ref().filter(|_| is_vm)?;
            Some(names::named(&counts.of(source.id()), |key| {
                names::exit(source, key)
            }))
        };
        ObservedReading::Taken(Observed {
            watched_ns: scope.until(end),
            calls: names::named(&counts.of(self.sources.calls.id()), names::call),
            exits_to_monitor: of(&self.sources.to_monitor),
            // A guest that ran and never left the processor is one that is not told of.
            exits_of_processor: of(&self.sources.of_processor).filter(|it| !it.is_empty()),
            lost: counts.lost(),
        })
    }
}

fn lock(scope: &Mutex<Scope>) -> MutexGuard<'_, Scope> {
    scope.lock().unwrap_or_else(PoisonError::into_inner)
}
