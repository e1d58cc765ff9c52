//! Runs a command in a machine, to its end.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use entry::{Failure, MountFailure, Step};
use guest_protocol::{End, GUEST_CID, Mark, Ports, ToHost};
use launch::{MonotonicNs, Mount, MountPoint};

use super::assignment::{Origin, Run, Work};
use super::control::{self, AnswerWatch, Instructions, Orders};
use super::event::{Event, SaveRequest};
use super::exec::Sessions;
use super::gate::{self, GateKeeper};
use super::own_system::{IN_ORDER, OwnSystem, Sent, TakesNoOrders};
use super::pump::InputEnd;
use super::requests;
use super::saving::SaveError;
use super::serve::{Served, serve};
use super::session::{Session, SessionError, balloon, boot, disk, disks, network, random, shares};
use super::threads::{Threads, tell};
use super::vcpu_thread::VcpuThread;
use super::{Channel, Phase, Reason, ToLauncher, pump, saving, streams};
use crate::builder::{self, Devices, Saved};
use crate::devices::virtio::vsock::Vsock;
use crate::guest_end::{GuestEnd, Said};
use crate::jail::{self, Filter, Jail, Rights, Role};
use crate::kvm;
use crate::last_words::LastWords;
use crate::machine::{Machine, MachineState};
use crate::power::PowerButton;
use crate::ring0::Ring0;
use crate::snapshot::{
    AddressSpace, DraftFiles, HostIdentity, LeaseBreaks, MachineFacts, MemoryFile, StateFile,
    verified,
};
use crate::vcpu::{Stop, StopError};

/// How long a guest may take to panic: a second where its kernel is emulated.
const LAST_WORDS_PATIENCE: Duration = Duration::from_secs(10);
/// How long the end of the command waits for what others are still to be told: as long as nobody
/// notices.
const PATIENCE: Duration = Duration::from_secs(1);
/// Outputs that the command has.
const OUTPUTS: usize = 2;

/// Runs it.
pub(super) fn run(session: Session, run: Run<OwnedFd>) -> Result<(), SessionError> {
    let Session {
        channel,
        spawned,
        watch,
        breaks,
        ring0,
        host,
        facts,
    } = session;
    let mut phases = vec![(Phase::Spawn, spawned)];
    let (sender, events) = mpsc::channel();
    let words = LastWords::default();

    let power_button = PowerButton::new().map_err(SessionError::PowerButton)?;
    let (mut guest_ends, host_ends) =
        streams::pairs(Ports::COMMAND).map_err(SessionError::Sockets)?;
    let own_system = match run.work {
        Work::Own => {
            let pressed = power_button.try_clone();
            let pressed = pressed.map_err(SessionError::PowerButton)?;
            // Nobody in the guest connects to a port.
            let console = std::mem::take(&mut guest_ends).remove(&Ports::COMMAND.stdout);
            console.map(|console| OwnSystem::new(console, pressed))
        }
        Work::New(_) | Work::Running => None,
    };
    let on_console = own_system.as_ref().map(OwnSystem::listener).transpose();
    let sockets = Vsock::new(GUEST_CID, guest_ends).map_err(SessionError::Sockets)?;
    let sockets = Arc::new(Mutex::new(sockets));
    let disk_image = run.disk.try_clone().map_err(SessionError::Sockets)?;
    let disk = disk(run.disk)?;
    let has_shares = !run.shares.is_empty();
    let shares = shares(run.shares)?;
    let interface = run.network.as_ref().map(|link| link.interface);
    let network = network(run.network)?;
    let (random, balloon) = (random()?, balloon()?);
    let disks = disks(run.disks)?;
    let has_disks = !disks.is_empty();
    let devices = Devices {
        disk: disk.clone(),
        sockets: sockets.clone(),
        shares: shares.clone(),
        network: network.clone(),
        random: random.clone(),
        balloon: balloon.clone(),
        disks: disks.clone(),
        power_button,
        on_mark: mark_reporter(channel.clone(), sender.clone()),
        on_line: words.listener(),
        on_console: on_console.map_err(SessionError::Sockets)?,
    };
    // All that has a path is open by then, or is opened here.
    let space = AddressSpace::of_process().map_err(SessionError::Space)?;
    let done = |step: builder::Step| phases.push((step.into(), MonotonicNs::now()));
    let is_restored = matches!(run.origin, Origin::Restore(_));
    let (machine, memory_file) = match run.origin {
        Origin::Boot(from) => (boot(*from, ring0, devices, done)?, None),
        Origin::Restore(dir) => {
            let (machine, file) = restore(&dir, &breaks, &host, ring0, devices, done)?;
            (machine, Some(file))
        }
    };

    let jail = Jail::enter()?;
    let rights = match has_shares {
        true => Rights::OverFiles,
        false => Rights::None,
    };
    lock(&shares).move_into(&jail)?;
    jail.close(rights)?;
    if let Some(file) = &memory_file {
        file.notify_me().map_err(SessionError::Breaks)?;
    }

    // The guest itself last: whatever it wants is served from its first instruction on.
    let control = host_ends.control;
    let mut orders = Orders::new(control.try_clone().map_err(SessionError::Sockets)?);
    let answer = AnswerWatch::new(control.try_clone().map_err(SessionError::Sockets)?);
    let is_running = matches!(run.work, Work::Running);
    let mut sessions = Sessions::new(sockets.clone(), sender.clone());
    let threads = Threads(&sender);
    let requests = run.requests;
    if has_shares {
        // The only one that keeps the rights over files.
        threads.start(Role::Shares, move |events| {
            tell(events, Event::DevicesFailed(serve([shares as Served])));
        })?;
        jail::give_up_rights()?;
    }
    threads.start(Role::Watch, move |events| watch.watch(&requests, events))?;
    let (gate, gate_keeper) = gate::gate().map_err(SessionError::Sockets)?;
    let sectors = lock(&disk).sectors();
    threads.start(Role::Devices, move |events| {
        let gate = Arc::new(Mutex::new(gate));
        let all: [Served; 6] = [disk, sockets, network, random, balloon, gate];
        tell(events, Event::DevicesFailed(serve(all)));
    })?;
    let (mounts, devices) = match &run.work {
        Work::New(task) => {
            let devices = task.disks.iter().map(|disk| disk.target.clone());
            (task.mounts.clone(), devices.collect())
        }
        Work::Running | Work::Own => (Vec::new(), Vec::new()),
    };
    if has_disks {
        threads.start(Role::Disks, move |events| {
            let disks = disks.into_iter().map(|disk| disk as Served);
            tell(events, Event::DevicesFailed(serve(disks)));
        })?;
    }
    let (guest_ready, ready) = mpsc::channel();
    let entropy = control::entropy().map_err(SessionError::Entropy)?;
    let awaited = answer.clone();
    match run.work {
        Work::New(task) => {
            let instructions = Instructions {
                task: *task,
                entropy,
                interface,
                disk_sectors: sectors,
            };
            threads.start(Role::Control, move |events| {
                let answer = control::converse(control, &ready, instructions, &awaited);
                tell(events, Event::Answer(answer));
            })?;
        }
        Work::Running => {
            // Whole frames, each in one write: they are not mixed up with the signals'.
            orders.guest_listens();
            sessions.begin(&orders);
            threads.start(Role::Control, move |events| {
                let answer = control::go_on(control, entropy, interface, &awaited);
                tell(events, Event::Answer(answer));
            })?;
        }
        Work::Own => drop(control),
    }
    if is_restored {
        // It was ready when it was saved. An error means that nobody waits for that.
        let _ = guest_ready.send(());
    }
    let (stdin, stdin_there) = (File::from(run.stdin), host_ends.stdin);
    threads.start(Role::Stdin, move |events| {
        if pump::to_guest(stdin, stdin_there) == InputEnd::HungUp {
            tell(events, Event::HungUp);
        }
    })?;
    for (role, from, to) in [
        (Role::Stdout, host_ends.stdout, run.stdout),
        (Role::Stderr, host_ends.stderr, run.stderr),
    ] {
        threads.start(role, move |events| {
            pump::from_guest(from, to.into());
            tell(events, Event::OutputDone);
        })?;
    }
    let vcpu = VcpuThread::start(machine, &threads)?;
    Filter::of(Role::Main)?.load()?;
    phases.push((Phase::Jail, MonotonicNs::now()));
    if let Err(error) = channel.send(&ToLauncher::Built(phases)) {
        tracing::debug!("that the machine is built can't be told: {error}");
    }
    if own_system.is_some() {
        // What comes now is its own affair.
        for phase in [Phase::Exec, Phase::Executed] {
            reached(&channel, phase, MonotonicNs::now());
        }
    }
    vcpu.begin();

    let instance = Instance {
        events,
        threads,
        words,
        guest_ready,
        orders,
        sessions,
        vcpu,
        _memory_file: memory_file,
        gate_keeper,
        disk_image,
        host,
        facts,
        space: Arc::new(space),
        answer,
        own_system,
        mounts,
        devices,
        has_begun: is_running,
        has_shares,
        has_disks,
        end: None,
        outputs: OUTPUTS,
    };
    if let Some(end) = instance.until_end()? {
        let ended = ToLauncher::Ended(end, MonotonicNs::now());
        if let Err(error) = channel.send(&ended) {
            tracing::debug!("the end can't be told: {error}");
        }
    }
    Ok(())
}

fn restore(
    dir: &Path,
    breaks: &LeaseBreaks,
    host: &HostIdentity,
    ring0: Ring0,
    devices: Devices,
    done: impl FnMut(builder::Step),
) -> Result<(Machine, MemoryFile), SessionError> {
    // All that can be found wrong with it, before KVM.
    let file = StateFile::read(dir)?;
    let state: MachineState = file.machine(host)?;
    let memory = &file.description().memory;
    let memory_file = MemoryFile::open(dir, memory, Some(breaks))?;
    verified::verify(dir, &memory_file, memory)?;
    let from = Saved {
        file: &memory_file,
        memory,
        state: &state,
        ring0,
    };
    let machine = builder::restore(kvm::open()?, from, devices, done)?;
    Ok((machine, memory_file))
}

/// A running machine, as the thread sees it that decides.
struct Instance<'a> {
    events: Receiver<Event>,
    threads: Threads<'a>,
    words: LastWords,
    guest_ready: Sender<()>,
    orders: Orders,
    sessions: Sessions,
    vcpu: VcpuThread,
    /// What guest memory is mapped from: the lease on it ends with its descriptor.
    _memory_file: Option<MemoryFile>,
    gate_keeper: GateKeeper,
    disk_image: OwnedFd,
    host: HostIdentity,
    facts: MachineFacts,
    space: Arc<AddressSpace>,
    answer: AnswerWatch,
    /// If the guest is one.
    own_system: Option<OwnSystem>,
    /// What the command was to have mounted, if it was started here.
    mounts: Vec<Mount>,
    /// Where the command was to have devices, if it was started here.
    devices: Vec<MountPoint>,
    /// Whether the command has.
    has_begun: bool,
    /// Whether it may use files of the host's: what it knows of them is not saved.
    has_shares: bool,
    /// Whether it has disks that are devices of the host's, which go on changing.
    has_disks: bool,
    end: Option<End>,
    outputs: usize,
}

impl Instance<'_> {
    /// Takes what happens, until the command has ended and its output is written, or until
    /// nobody wants to know any more (`None`).
    fn until_end(mut self) -> Result<Option<End>, SessionError> {
        let mut deadline = None;
        loop {
            let is_done = self.end.is_some() && self.outputs == 0;
            if is_done && self.sessions.is_empty() {
                return Ok(self.end);
            }
            let event = if is_done {
                // What others are still to be told, who ran commands here that ended with this one.
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
                let left = deadline.saturating_duration_since(Instant::now());
                let Ok(event) = self.events.recv_timeout(left) else {
                    return Ok(self.end);
                };
                event
            } else {
                // The threads have a sender too, so the channel never closes.
                let Ok(event) = self.events.recv() else {
                    return Ok(None);
                };
                event
            };
            match event {
                Event::Signal(number) => match &self.own_system {
                    None => self.orders.signal(number),
                    Some(system) => match system.send(number) {
                        Sent::GoesOn => {}
                        Sent::Killed(end) => return Ok(Some(end)),
                    },
                },
                Event::Resize(size) => self.orders.resize(size),
                Event::HungUp => self.orders.hang_up(),
                Event::LauncherGone => return Ok(None),
                Event::Asked(connection) => self.threads.start(Role::Request, move |events| {
                    requests::serve(connection, events)
                })?,
                Event::Save(request) => self.save(request),
                Event::MemoryChanging => return Err(SessionError::MemoryChanging),
                // If it is not waited for any more, the answer to that comes next.
                Event::Reached(Mark::Ready) => drop(self.guest_ready.send(())),
                Event::Reached(Mark::Started) => self.orders.guest_listens(),
                Event::Reached(Mark::Main) => self.has_begun = true,
                Event::Reached(Mark::Executed) => self.sessions.begin(&self.orders),
                Event::Reached(_) => {}
                // Without an answer, it is known that the instance ends.
                Event::OpenSession(_) if self.end.is_some() => {}
                Event::OpenSession(request) if self.own_system.is_some() => {
                    // Whoever asked may be gone.
                    let _ = request.done.send(Err(Reason::new(&TakesNoOrders, None)));
                }
                Event::OpenSession(request) => self.sessions.open(request, &self.orders),
                Event::SessionOver(number) => self.sessions.close(number),
                Event::OutputDone => self.outputs -= 1,
                Event::Answer(Ok(Some(ToHost::Ended(ended)))) => self.end = Some(ended),
                Event::Answer(Ok(Some(ToHost::Failed(failure)))) => {
                    return Err(self.why_not_started(failure));
                }
                Event::Answer(Ok(None)) => return Err(self.why_silent()),
                Event::Answer(Err(error)) => return Err(SessionError::Answer(error)),
                // What the command said and how it ended is known; nobody needs the guest for it.
                Event::Stopped(_) if self.end.is_some() => self.outputs = 0,
                Event::Stopped(stopped) => self.stopped(stopped)?,
                Event::NotContained(error) => return Err(error.into()),
                Event::DevicesFailed(error) => return Err(SessionError::Devices(error)),
            }
        }
    }

    /// The guest has stopped before there was an end. That of a system of its own is one, if it is in
    /// order; all that it has said comes first.
    fn stopped(&mut self, stopped: Result<Stop, StopError>) -> Result<(), SessionError> {
        let guest_end = GuestEnd::of(stopped, &self.words);
        let Some(system) = &self.own_system else {
            return Err(guest_end.into());
        };
        system.fall_silent();
        match guest_end {
            GuestEnd::PowerOff(_) | GuestEnd::Reboot(_) => {
                self.end = Some(IN_ORDER);
                Ok(())
            }
            failed => {
                self.let_outputs_end();
                Err(failed.into())
            }
        }
    }

    /// Waits until what was said is passed on, unless nobody takes it.
    fn let_outputs_end(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let left = || deadline.saturating_duration_since(Instant::now());
        while self.outputs > 0
            && let Ok(event) = self.events.recv_timeout(left())
        {
            match event {
                Event::OutputDone => self.outputs -= 1,
                Event::LauncherGone => break,
                _ => {}
            }
        }
    }

    /// A step on the way to the command failed.
    fn why_not_started(&self, failure: Failure) -> SessionError {
        if let Some(mount) = MountFailure::of(failure, &self.mounts) {
            return mount.into();
        }
        match failure.step {
            Step::Device(index) => match self.devices.get(usize::from(index)) {
                Some(target) => SessionError::Device {
                    path: target.as_path().to_owned(),
                    source: io::Error::from_raw_os_error(failure.errno),
                },
                None => SessionError::Guest(failure),
            },
            _ => SessionError::Guest(failure),
        }
    }

    /// The guest has closed its control connection. Its PID 1 does that when it fails, and its
    /// kernel panics next, which is the better explanation.
    fn why_silent(&self) -> SessionError {
        let deadline = Instant::now() + LAST_WORDS_PATIENCE;
        let left = || deadline.saturating_duration_since(Instant::now());
        while let Ok(event) = self.events.recv_timeout(left()) {
            match event {
                Event::Stopped(stopped) => return GuestEnd::of(stopped, &self.words).into(),
                Event::LauncherGone => break,
                _ => {}
            }
        }
        SessionError::Hangup(Said(self.words.last()))
    }

    /// Saves the machine and lets it go on. Whoever asked may have gone.
    fn save(&self, request: SaveRequest) {
        let saved = self.try_save(request.into);
        let _ = request
            .done
            .send(saved.map_err(|error| Reason::new(&error, error.remedy())));
    }

    fn try_save(&self, into: DraftFiles) -> Result<OwnedFd, SaveError> {
        if self.own_system.is_some() {
            return Err(SaveError::OwnSystem);
        }
        if !self.has_begun {
            return Err(SaveError::NotBegun);
        }
        if self.has_shares {
            return Err(SaveError::Shares);
        }
        if self.has_disks {
            return Err(SaveError::Disks);
        }
        let held = self.gate_keeper.hold().map_err(SaveError::Hold)?;
        if self.answer.has_left() {
            return Err(SaveError::Ended);
        }
        let (host, facts) = (self.host.clone(), self.facts.clone());
        let space = self.space.clone();
        let saved = self.vcpu.with_machine(move |machine| {
            let saved = saving::save(machine, &into, &space, host, facts);
            machine.resume();
            saved
        });
        drop(held);
        saved.ok_or(SaveError::Stopped)??;
        self.disk_image.try_clone().map_err(SaveError::Hold)
    }
}

fn lock<T>(device: &Mutex<T>) -> MutexGuard<'_, T> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells both the launcher, with the doorbell's own stamp, and the main thread.
fn mark_reporter(
    channel: Arc<Channel>,
    events: Sender<Event>,
) -> Box<dyn FnMut(Mark, MonotonicNs) + Send> {
    Box::new(move |mark, at| {
        reached(&channel, mark.into(), at);
        tell(&events, Event::Reached(mark));
    })
}

/// Tells the launcher that a phase ended.
fn reached(channel: &Channel, phase: Phase, at: MonotonicNs) {
    if let Err(error) = channel.send(&ToLauncher::Reached(phase, at)) {
        tracing::debug!("{phase:?} can't be told: {error}");
    }
}
