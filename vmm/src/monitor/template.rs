//! Makes a template: boots until PID 1 waits for a workload, and saves that.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use guest_protocol::{GUEST_CID, Mark, Ports};

use super::assignment::{BootFrom, SnapshotFiles};
use super::saving::SaveError;
use super::serve::{Served, serve};
use super::session::{
    Session, SessionError, balloon, boot, disk, network, places_for_disks, random, shares,
};
use super::{gate, saving, streams, vcpu_thread};
use crate::builder::Devices;
use crate::devices::virtio::vsock::Vsock;
use crate::guest_end::GuestEnd;
use crate::jail::{Filter, Jail, Rights, Role};
use crate::last_words::LastWords;
use crate::power::PowerButton;
use crate::snapshot::{AddressSpace, DraftFiles};
use crate::vcpu::{Kick, Stop};

/// Writes it `into` empty files. No device is served meanwhile but the balloon: what is reported as
/// free is missing in the guest until that is taken. The disk is empty, there is no network, the
/// guest has nobody to talk to yet, and random numbers are for each machine that goes on from here.
pub(super) fn make(
    session: Session,
    from: BootFrom<OwnedFd>,
    disks: usize,
    into: SnapshotFiles<OwnedFd>,
) -> Result<(), SessionError> {
    let Session {
        watch,
        ring0,
        host,
        facts,
        ..
    } = session;
    // Kept: a port whose other end is closed would be saved as one that refuses the guest.
    let (guest_ends, _host_ends) = streams::pairs(Ports::COMMAND).map_err(SessionError::Sockets)?;
    let empty = File::open("/dev/null").map_err(SessionError::EmptyDisk)?;
    let ready = Arc::new(AtomicBool::new(false));
    let words = LastWords::default();
    let balloon = balloon()?;
    let (gate, gate_keeper) = gate::gate().map_err(SessionError::Sockets)?;
    let devices = Devices {
        disk: disk(empty.into())?,
        sockets: Arc::new(Mutex::new(
            Vsock::new(GUEST_CID, guest_ends).map_err(SessionError::Sockets)?,
        )),
        shares: shares(Vec::new())?,
        network: network(None)?,
        random: random()?,
        balloon: balloon.clone(),
        disks: places_for_disks(disks)?,
        power_button: PowerButton::new().map_err(SessionError::PowerButton)?,
        on_mark: Box::new({
            let ready = ready.clone();
            move |mark, _| {
                if mark == Mark::Ready {
                    ready.store(true, Ordering::Relaxed);
                    stop_here();
                }
            }
        }),
        on_line: words.listener(),
        on_console: None,
    };
    let mut machine = boot(from, ring0, devices, |_| {})?;
    let space = AddressSpace::of_process().map_err(SessionError::Space)?;
    let into = DraftFiles::new(into.dir, into.state, into.memory);
    Jail::enter()?.close(Rights::None)?;
    let filter = Filter::of(Role::Watch)?;
    thread::spawn(move || {
        if let Err(error) = filter.load() {
            tracing::error!("{error}");
            std::process::exit(1);
        }
        watch.until_gone();
        // Nobody is left who would use it.
        std::process::exit(1)
    });
    let filter = Filter::of(Role::Devices)?;
    thread::spawn(move || {
        if let Err(error) = filter.load() {
            tracing::error!("{error}");
            std::process::exit(1);
        }
        let all: [Served; 2] = [balloon, Arc::new(Mutex::new(gate))];
        // Without it the guest boots, with less memory.
        tracing::error!("the balloon is not served: {}", serve(all));
    });
    vcpu_thread::start_others(&mut machine)?;
    // It runs the guest itself.
    Filter::of(Role::Vcpu)?.load()?;
    loop {
        match machine.run() {
            Ok(Stop::Kicked) if ready.load(Ordering::Relaxed) => break,
            Ok(Stop::Kicked) => {}
            stopped => return Err(GuestEnd::of(stopped, &words).into()),
        }
    }
    let _held = gate_keeper.hold().map_err(SaveError::Hold)?;
    Ok(saving::save(&mut machine, &into, &space, host, facts)?)
}

/// The vCPU that runs on the calling thread stops before its next instruction, and so all do.
fn stop_here() {
    if let Err(error) = Kick::this_thread().and_then(|kick| kick.kick()) {
        tracing::error!("the vCPU can't be stopped: {error}");
    }
}
