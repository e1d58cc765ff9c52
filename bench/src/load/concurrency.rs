//! Instances that are launched at the same moment.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{PoisonError, RwLock};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::alive::Alive;
use super::host_memory::HostMemory;
use super::{ConcurrencyOfWay, Ground, LoadEnd};
use crate::Interrupt;
use crate::series::Entrant;
use crate::statistics::Summary;

/// How often it is looked whether it has to end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// All that are launched have so much time, whatever one alone took.
const AT_LEAST: Duration = Duration::from_secs(10);

/// When one was there: the entry of its `launch()`, and how long it took, in nanoseconds.
#[derive(Clone, Copy)]
struct Arrival {
    started_at_ns: u64,
    took_ns: u64,
}

type Told = Result<Arrival, LoadEnd>;

/// Launches `asked` of `entrant` at once, each in a thread of its own, and ends them when all are
/// there.
pub(super) fn of_way(
    entrant: &Entrant<'_>,
    asked: usize,
    until: Instant,
    ground: Ground<'_>,
) -> ConcurrencyOfWay {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let turns = u32::try_from(asked.div_ceil(cpus)).unwrap_or(u32::MAX);
    // If a launch keeps a CPU busy, which is so of a VM's boot.
    let takes = entrant.took.saturating_mul(turns);
    let told = if ground.interrupt.is_raised() {
        vec![Err(LoadEnd::Interrupted)]
    } else if until.saturating_duration_since(Instant::now()) < takes {
        vec![Err(LoadEnd::OutOfTime)]
    } else {
        let patience = entrant.patience() + 3 * takes;
        // It may take longer than one alone says, and is begun; but not for ever.
        let until = until.max(Instant::now() + 2 * takes + AT_LEAST);
        launch_all(asked, until, ground.interrupt, |interrupt| {
            Alive::launch(entrant, ground, patience, interrupt)
        })
    };
    report(entrant, asked, told)
}

/// Calls `launch` so many times at once, and keeps what it gives until all have been told of. Whoever
/// was launched is ended by the thread that did it.
fn launch_all(
    asked: usize,
    until: Instant,
    interrupt: &Interrupt,
    launch: impl Fn(&Interrupt) -> Result<Alive, LoadEnd> + Sync,
) -> Vec<Told> {
    let end = Interrupt::default();
    // Both are shut as long as this thread holds them.
    let (start, finish) = (RwLock::new(()), RwLock::new(()));
    let pass = |gate: &RwLock<()>| drop(gate.read().unwrap_or_else(PoisonError::into_inner));
    thread::scope(|scope| {
        let shut_start = start.write();
        let _shut_finish = finish.write();
        let (tell, told) = mpsc::channel();
        let mut spawned = Ok(());
        for _ in 0..asked {
            let tell = tell.clone();
            let (launch, end, start, finish, pass) = (&launch, &end, &start, &finish, &pass);
            let thread = spawn(scope, move || {
                pass(start);
                let launched = launch(end);
                let arrival = launched.as_ref().map_err(Clone::clone).map(|it| Arrival {
                    started_at_ns: it.started_at.0,
                    took_ns: it.took_ns,
                });
                // It is received as long as this scope lasts.
                let _ = tell.send(arrival);
                drop(tell);
                pass(finish);
                drop(launched);
            });
            if let Err(error) = thread {
                end.raise();
                spawned = Err(error);
                break;
            }
        }
        drop(tell);
        drop(shut_start);
        let mut all = collect(&told, until, interrupt, &end);
        if let Err(error) = spawned {
            let reason = format!("there can't be so many threads: {error}");
            all.insert(0, Err(LoadEnd::Failed { reason }));
        }
        all
    })
}

fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, ()>> {
    thread::Builder::new()
        .name("launch".into())
        .spawn_scoped(scope, work)
}

/// Takes what all have to tell. When the time is over, the user asks for the end, or the host would
/// run out of memory, `end` is raised for those that are not there yet.
fn collect(
    told: &Receiver<Told>,
    until: Instant,
    interrupt: &Interrupt,
    end: &Interrupt,
) -> Vec<Told> {
    let mut all = Vec::new();
    loop {
        match told.recv_timeout(LOOK_EVERY) {
            Ok(one) => all.push(one),
            Err(RecvTimeoutError::Disconnected) => return all,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if end.is_raised() {
            continue;
        }
        let low = HostMemory::read().ok().filter(|memory| memory.is_low());
        let why = match low {
            _ if interrupt.is_raised() => LoadEnd::Interrupted,
            Some(memory) => LoadEnd::LowMemory {
                available_bytes: memory.available,
            },
            None if Instant::now() > until => LoadEnd::OutOfTime,
            None => continue,
        };
        all.push(Err(why));
        end.raise();
    }
}

fn report(entrant: &Entrant<'_>, asked: usize, told: Vec<Told>) -> ConcurrencyOfWay {
    let arrivals: Vec<Arrival> = told.iter().filter_map(|it| it.clone().ok()).collect();
    let each_ns: Vec<u64> = arrivals.iter().map(|it| it.took_ns).collect();
    let first = arrivals.iter().map(|it| it.started_at_ns).min();
    let last = arrivals
        .iter()
        .map(|it| it.started_at_ns + it.took_ns)
        .max();
    let is_complete = arrivals.len() == asked;
    ConcurrencyOfWay {
        contender: entrant.contender,
        summary: Summary::of(&each_ns),
        each_ns,
        all_there_ns: first
            .zip(last)
            .filter(|_| is_complete)
            .map(|(first, last)| last - first),
        failures: told
            .iter()
            .filter(|it| matches!(it, Err(LoadEnd::Failed { .. })))
            .count(),
        ended: told
            .into_iter()
            .find_map(Result::err)
            .unwrap_or(LoadEnd::Complete),
    }
}
