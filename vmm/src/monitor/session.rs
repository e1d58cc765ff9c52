//! One machine from its configuration to its end.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use event_manager::{EventManager, MutEventSubscriber, SubscriberOps};
use guest_protocol::{FrameError, GUEST_CID, Mark, ToHost, port};
use launch::{ExitStatus, MonotonicNs, Stdio};
use nix::errno::Errno;

use super::config::ConfigError;
use super::control::{self, Instructions, Signals};
use super::event::Event;
use super::launcher_watch::LauncherWatch;
use super::{Channel, Config, Phase, ToLauncher, pump};
use crate::boot::kernel::{Kernel, KernelError};
use crate::builder::{self, Boot, BuildError, Devices, Machine};
use crate::devices::virtio::block::{Block, BlockError, InvalidId};
use crate::devices::virtio::vsock::Vsock;
use crate::guest_end::{GuestEnd, Said};
use crate::kvm::{self, KvmError};
use crate::last_words::LastWords;
use crate::vcpu::Stop;

/// Bytes of stack for a thread; what of it is never touched costs nothing.
const STACK_BYTES: usize = 256 << 10;
/// How long a guest may take to panic: a second where its kernel is emulated.
const LAST_WORDS_PATIENCE: Duration = Duration::from_secs(10);
/// What `/sys/block/vda/serial` shows in the guest.
const DISK_ID: &str = "jaula-root";
/// Outputs that the command has.
const OUTPUTS: usize = 2;

/// Why an instance failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Kvm(#[from] KvmError),
    #[error("the kernel can't be used")]
    Kernel(#[source] KernelError),
    #[error("the root disk can't be used")]
    Disk(#[source] BlockError),
    #[error(transparent)]
    DiskId(#[from] InvalidId),
    #[error("the host gives no random numbers")]
    Entropy(#[source] io::Error),
    #[error("can't make the guest's sockets")]
    Sockets(#[source] io::Error),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("can't watch the launcher")]
    Watch(#[source] Errno),
    #[error("can't start a thread")]
    Thread(#[source] io::Error),
    #[error("can't serve the devices")]
    Devices(#[source] event_manager::Error),
    #[error(transparent)]
    GuestEnd(#[from] GuestEnd),
    #[error("the guest closed its control connection{0}")]
    Hangup(Said),
    #[error("the guest's answer can't be read")]
    Answer(#[source] FrameError),
    #[error("in the guest: {0}")]
    Guest(entry::Failure),
}

/// Runs one machine as the launcher tells, to its end or the launcher's.
pub(super) fn run(channel: &Arc<Channel>) -> Result<(), SessionError> {
    let Some((config, descriptors)) = Config::receive(channel)? else {
        return Ok(());
    };
    reached(channel, Phase::Spawn);
    let watch = LauncherWatch::new(channel.clone(), config.launcher);
    let Some(watch) = watch.map_err(SessionError::Watch)? else {
        return Ok(());
    };
    let (sender, events) = mpsc::channel();
    let words = LastWords::default();

    let (guest_ends, host_ends) = streams().map_err(SessionError::Sockets)?;
    let sockets = Vsock::new(GUEST_CID, guest_ends).map_err(SessionError::Sockets)?;
    let sockets = Arc::new(Mutex::new(sockets));
    let disk = Block::new(descriptors.disk, DISK_ID.parse()?).map_err(SessionError::Disk)?;
    let instructions = Instructions {
        task: config.task,
        entropy: control::entropy().map_err(SessionError::Entropy)?,
        disk_sectors: disk.sectors(),
    };
    let disk = Arc::new(Mutex::new(disk));

    let kvm = kvm::open()?;
    let kernel = Kernel::parse(descriptors.kernel).map_err(SessionError::Kernel)?;
    let from = Boot {
        kernel: &kernel,
        backing: config.backing,
        memory_bytes: config.memory_bytes,
        ring0: config.ring0,
        verbose: tracing::enabled!(tracing::Level::TRACE),
        init: guest_images::INIT,
    };
    let devices = Devices {
        disk: disk.clone(),
        sockets: sockets.clone(),
        on_mark: mark_reporter(channel.clone(), sender.clone()),
        on_line: line_listener(words.clone()),
    };
    let machine = builder::boot(&kvm, from, devices, |step| reached(channel, step.into()))?;

    // The guest itself last: whatever it wants is served from its first instruction on.
    let mut signals = Signals::new(
        host_ends
            .control
            .try_clone()
            .map_err(SessionError::Sockets)?,
    );
    let threads = Threads(&sender);
    threads.start("launcher", move |events| watch.watch(events))?;
    threads.start("devices", move |events| {
        serve_devices(disk, sockets, events)
    })?;
    let (guest_ready, ready) = mpsc::channel();
    threads.start("control", move |events| {
        let answer = control::converse(host_ends.control, &ready, instructions);
        tell(events, Event::Answer(answer));
    })?;
    let Stdio {
        stdin,
        stdout,
        stderr,
    } = descriptors.stdio;
    threads.start("stdin", move |_| {
        pump::to_guest(stdin.into(), host_ends.stdin)
    })?;
    for (name, from, to) in [
        ("stdout", host_ends.stdout, stdout),
        ("stderr", host_ends.stderr, stderr),
    ] {
        threads.start(name, move |events| {
            pump::from_guest(from, to.into());
            tell(events, Event::OutputDone);
        })?;
    }
    threads.start("vcpu", move |events| run_guest(machine, events))?;

    if let Some(status) = until_end(&events, &guest_ready, &mut signals, &words)? {
        let ended = ToLauncher::Ended(status, MonotonicNs::now());
        if let Err(error) = channel.send(&ended) {
            tracing::debug!("the end can't be told: {error}");
        }
    }
    Ok(())
}

/// Takes what happens, until the command has ended and its output is written, or until nobody
/// wants to know any more (`None`).
fn until_end(
    events: &Receiver<Event>,
    guest_ready: &Sender<()>,
    signals: &mut Signals,
    words: &LastWords,
) -> Result<Option<ExitStatus>, SessionError> {
    let mut status = None;
    let mut outputs = OUTPUTS;
    loop {
        // This thread has a sender too, so the channel never closes.
        let Ok(event) = events.recv() else {
            return Ok(None);
        };
        match event {
            Event::Signal(number) => signals.send(number),
            Event::LauncherGone => return Ok(None),
            // If it is not waited for any more, the answer to that comes next.
            Event::Reached(Mark::Ready) => drop(guest_ready.send(())),
            Event::Reached(Mark::Started) => signals.guest_listens(),
            Event::Reached(_) => {}
            Event::OutputDone => outputs -= 1,
            Event::Answer(Ok(Some(ToHost::Ended(ended)))) => status = Some(ended),
            Event::Answer(Ok(Some(ToHost::Failed(failure)))) => {
                return Err(SessionError::Guest(failure));
            }
            Event::Answer(Ok(None)) => return Err(why_silent(events, words)),
            Event::Answer(Err(error)) => return Err(SessionError::Answer(error)),
            // What the command said and how it ended is known; nobody needs the guest for it.
            Event::Stopped(_) if status.is_some() => outputs = 0,
            Event::Stopped(stopped) => return Err(GuestEnd::of(stopped, words).into()),
            Event::DevicesFailed(error) => return Err(SessionError::Devices(error)),
        }
        if status.is_some() && outputs == 0 {
            return Ok(status);
        }
    }
}

/// The guest has closed its control connection. Its PID 1 does that when it fails, and its
/// kernel panics next, which is the better explanation.
fn why_silent(events: &Receiver<Event>, words: &LastWords) -> SessionError {
    let deadline = Instant::now() + LAST_WORDS_PATIENCE;
    while let Ok(event) = events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        match event {
            Event::Stopped(stopped) => return GuestEnd::of(stopped, words).into(),
            Event::LauncherGone => break,
            _ => {}
        }
    }
    SessionError::Hangup(Said(words.last()))
}

/// Starts threads that tell what happens.
struct Threads<'a>(&'a Sender<Event>);

impl Threads<'_> {
    fn start(
        &self,
        name: &str,
        work: impl FnOnce(&Sender<Event>) + Send + 'static,
    ) -> Result<(), SessionError> {
        let events = self.0.clone();
        thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || work(&events))
            .map(drop)
            .map_err(SessionError::Thread)
    }
}

/// If nobody listens any more, the process is about to end.
fn tell(events: &Sender<Event>, event: Event) {
    let _ = events.send(event);
}

fn run_guest(mut machine: Machine, events: &Sender<Event>) {
    let stopped = loop {
        match machine.run() {
            // Nobody kicks this one; a stray signal changes nothing.
            Ok(Stop::Kicked) => {}
            other => break other,
        }
    };
    tell(events, Event::Stopped(stopped));
}

fn serve_devices(disk: Arc<Mutex<Block>>, sockets: Arc<Mutex<Vsock>>, events: &Sender<Event>) {
    let serve = || -> Result<(), event_manager::Error> {
        let mut manager = EventManager::<Arc<Mutex<dyn MutEventSubscriber>>>::new()?;
        manager.add_subscriber(disk);
        manager.add_subscriber(sockets);
        loop {
            manager.run()?;
        }
    };
    if let Err(error) = serve() {
        tell(events, Event::DevicesFailed(error));
    }
}

fn reached(channel: &Channel, phase: Phase) {
    if let Err(error) = channel.send(&ToLauncher::Reached(phase, MonotonicNs::now())) {
        tracing::debug!("{phase:?} can't be told: {error}");
    }
}

/// Tells both the launcher, with the doorbell's own stamp, and the main thread.
fn mark_reporter(
    channel: Arc<Channel>,
    events: Sender<Event>,
) -> Box<dyn FnMut(Mark, MonotonicNs) + Send> {
    Box::new(move |mark, at| {
        if let Err(error) = channel.send(&ToLauncher::Reached(mark.into(), at)) {
            tracing::debug!("{mark:?} can't be told: {error}");
        }
        tell(&events, Event::Reached(mark));
    })
}

fn line_listener(words: LastWords) -> Box<dyn FnMut(&str) + Send> {
    Box::new(move |line| {
        tracing::debug!(target: "guest", "{line}");
        words.hear(line);
    })
}

/// The host's ends of the guest's streams.
struct HostEnds {
    control: UnixStream,
    stdin: UnixStream,
    stdout: UnixStream,
    stderr: UnixStream,
}

/// Makes a pair for each port; the guest's ends by port.
fn streams() -> io::Result<(BTreeMap<u32, UnixStream>, HostEnds)> {
    let mut guest_ends = BTreeMap::new();
    let mut host_end = |port| {
        let (host, guest) = UnixStream::pair()?;
        guest_ends.insert(port, guest);
        Ok::<_, io::Error>(host)
    };
    let host_ends = HostEnds {
        control: host_end(port::CONTROL)?,
        stdin: host_end(port::STDIN)?,
        stdout: host_end(port::STDOUT)?,
        stderr: host_end(port::STDERR)?,
    };
    Ok((guest_ends, host_ends))
}
